using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Read-only tensors over a mapped file: from the path to the tensors, and from the plan.</summary>
internal sealed class ZeroCopyScenario : IScenario
{
    // For one GiB, but nothing of it depends on the size.
    private const double Budget = 0.005;

    public string Name => "zero-copy";

    public string Description => "map a file of float32 in 256 tensors and view it as tensors, against numpy.load mapped";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Floats(options, ".safetensors"), DataFiles.Floats(options, ".npy")];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var path = await TensorFiles.FloatsAsync(options, ".safetensors", cancellationToken);
        var array = await TensorFiles.NumpyAsync(options, cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, path, cancellationToken);
        var load = new LoadOptions { ReadMode = ReadMode.Mapped };
        options.Log.WriteLine("mapping");
        using var numpy = PeerScripts.NumpyLoad("numpy.load mapped, one array of the same size", "mmap");
        var planned = await LoadMeasurements.FirstAsync("load keep, mapped, zero-copy", file.PlanAsAsked(load), options.Rounds, [HeaderRead.Limit(file.Checkpoint)], cancellationToken);
        var opened = await FreshLoad.RowAsync(
            "open and load keep, mapped, zero-copy", options.Rounds, path, null, [HeaderRead.Limit(file.Checkpoint), numpy.Loading(array)], cancellationToken, load);
        // The tensors are pages of the file, which are the page cache's.
        var peak = await ToolMemory.MeasureAsync(
            "peak memory of the tool, mapped", path, file.PlanAsAsked(load), LoadOptions.DefaultStagingBytes, ["--read", "mapped"], cancellationToken, tensorBytes: 0);
        return [planned with { Bytes = null, Budget = Budget }, opened with { Budget = Budget }, peak];
    }
}
