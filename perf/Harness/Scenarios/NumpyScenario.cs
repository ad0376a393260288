using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>One array of float32 in a .npy file: loaded into fresh memory and mapped, each against NumPy doing the same.</summary>
internal sealed class NumpyScenario : IScenario
{
    public string Name => "numpy";

    public string Description => "load a .npy file into fresh memory and mapped, against numpy.load and plain numpy.fromfile";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Floats(options, ".npy")];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var path = await TensorFiles.NumpyAsync(options, cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, path, cancellationToken);
        var plan = file.Plan();
        options.Log.WriteLine("against NumPy");
        using var copy = PeerScripts.NumpyLoad("numpy.load", "copy");
        using var raw = PeerScripts.NumpyLoad("numpy.fromfile", "raw");
        using var mapped = PeerScripts.NumpyLoad("numpy.load mapped", "mmap");
        return
        [
            await FreshLoad.RowAsync(
                "open and load a .npy",
                options.Rounds,
                path,
                plan.BytesToRead,
                [file.Limits.FirstTouchAndRead(plan), copy.Loading(path), raw.Loading(path)],
                cancellationToken),
            await FreshLoad.RowAsync(
                "open and map a .npy", options.Rounds, path, null, [HeaderRead.Limit(file.Checkpoint), mapped.Loading(path)], cancellationToken, new LoadOptions { ReadMode = ReadMode.Mapped }),
            await ToolMemory.MeasureAsync("peak memory of the tool, a .npy", path, plan, LoadOptions.DefaultStagingBytes, [], cancellationToken),
        ];
    }
}
