using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>100,000 tensors of 4 KiB, from the path to the tensors: each with memory of its own, and as views of slabs.</summary>
internal sealed class SmallTensorsScenario : IScenario
{
    private const long SlabBytes = 64L << 20;

    // Ten microseconds a tensor, end to end.
    private const double SecondsPerTensor = 10e-6;

    public string Name => "small";

    public string Description => "100,000 tensors of 4 KiB end to end, with memory of their own and as views of slabs";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Small(options)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var (path, count) = await TensorFiles.SmallAsync(options, cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, path, cancellationToken);
        var plan = file.Plan();
        options.Log.WriteLine("small tensors");
        var slabs = new LoadOptions { SlabBytes = SlabBytes };
        return
        [
            await RowAsync("memory of their own", LoadOptions.Default),
            await RowAsync("views of slabs", slabs),
            await ToolMemory.MeasureAsync(
                $"peak memory of the tool, {count} tensors of 4 KiB", path, plan, LoadOptions.DefaultStagingBytes, [], cancellationToken),
            await LoadChild.MeasureAsync($"peak memory of a process, {count} tensors of 4 KiB, views of slabs", path, file.Plan(slabs), cancellationToken),
        ];

        async Task<Measurement> RowAsync(string how, LoadOptions load)
        {
            var row = await FreshLoad.RowAsync(
                $"open and load {count} tensors of 4 KiB, {how}", options.Rounds, path, null, [file.Limits.FirstTouchAndRead(plan)], cancellationToken, load);
            return row with
            {
                Budget = count * SecondsPerTensor,
                Note = FormattableString.Invariant($"{row.Statistic!.Value.Median / count * 1e6:0.00} µs a tensor"),
            };
        }
    }
}
