using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// A bf16 checkpoint in four shards, page cache warm: again into the same memory, for the first time, and to f32, each in
/// interleaved pairs with plain reads of the same files; and the tool's own peak memory.
/// </summary>
internal sealed class LoadScenario : IScenario
{
    private const long MaximumOverhead = (256L + 150L) << 20;

    public string Name => "load";

    public string Description => "load a bf16 checkpoint: reused memory, first load, to f32, peak memory";

    public async Task<IReadOnlyList<Row>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = await Data.CheckpointAsync(options, cancellationToken);
        var rows = new List<Row>();
        await using var checkpoint = await Checkpoint.OpenAsync(folder, null, cancellationToken);
        var loader = new CheckpointLoader();
        using var read = new ReadYardstick(checkpoint.Files.Select(file => file.Path));
        options.Log.WriteLine("looking for the fastest plain reads");
        var best = read.FindBest();
        var yardstick = $"plain reads, {best.Lanes} lanes x {best.BlockBytes >> 20} MiB";
        double Read() => read.Measure(best.Lanes, best.BlockBytes);

        var keep = loader.Plan(checkpoint);
        options.Log.WriteLine("again into the same memory");
        await using (var model = await loader.LoadAsync(keep, null, cancellationToken))
        {
            await loader.LoadIntoAsync(keep, model, null, cancellationToken);
            var pairs = await Pairs.MeasureAsync(
                options.Rounds, async () => (await loader.LoadIntoAsync(keep, model, null, cancellationToken)).Elapsed.TotalSeconds, Read);
            rows.Add(Pairs.RowOf("load keep, reused memory", read.TotalBytes, pairs, yardstick, "≥ 0.85"));
        }

        options.Log.WriteLine("first load");
        var first = await Pairs.MeasureAsync(
            options.Rounds,
            async () =>
            {
                await using var model = await loader.LoadAsync(keep, null, cancellationToken);
                return model.Statistics.Elapsed.TotalSeconds;
            },
            () => MemoryYardsticks.FirstTouch(keep.DestinationBytes, keep.Staging.Lanes) + Read());
        rows.Add(Pairs.RowOf("load keep, first load", read.TotalBytes, first, "first touch + " + yardstick, "≥ 0.8"));

        rows.Add(await ToF32Async(options, loader, checkpoint, read.TotalBytes, Read, yardstick, cancellationToken));
        rows.Add(await PeakMemoryAsync(folder, keep.DestinationBytes, cancellationToken));
        return rows;
    }

    private static async Task<Row> ToF32Async(
        HarnessOptions options,
        CheckpointLoader loader,
        Checkpoint checkpoint,
        long totalBytes,
        Func<double> read,
        string yardstick,
        CancellationToken cancellationToken)
    {
        options.Log.WriteLine("to f32");
        var plan = loader.Plan(checkpoint, new LoadOptions { DType = DType.F32 });
        await using var model = await loader.LoadAsync(plan, null, cancellationToken);
        var largest = (HostMemory)model.MaxBy(tensor => tensor.Tensor.ByteLength).Tensor.Memory;
        var pairs = await Pairs.MeasureAsync(
            options.Rounds,
            async () => (await loader.LoadIntoAsync(plan, model, null, cancellationToken)).Elapsed.TotalSeconds,
            // The fill is measured on the largest tensor and scaled: a second block of the output's size may not fit.
            () => read() + (MemoryYardsticks.StreamingFill(largest, plan.Staging.Lanes) * plan.DestinationBytes / largest.Length));
        return Pairs.RowOf("load to f32, reused memory", totalBytes, pairs, "streaming fill + " + yardstick, "figure");
    }

    private static async Task<Row> PeakMemoryAsync(string folder, long tensorBytes, CancellationToken cancellationToken)
    {
        var output = await ToolProcess.RunAsync(["load", folder, "--json"], cancellationToken);
        using var document = JsonDocument.Parse(output);
        var peak = document.RootElement.GetProperty("peakMemoryBytes").GetInt64();
        return new Row(
            "peak memory of the tool's load",
            $"{peak / (double)(1 << 20):0} MiB",
            $"tensors, {tensorBytes / (double)(1 << 20):0} MiB",
            $"+{(peak - tensorBytes) / (double)(1 << 20):0} MiB",
            $"≤ +{MaximumOverhead >> 20} MiB");
    }
}
