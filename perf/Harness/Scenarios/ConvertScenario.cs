using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Harness;

/// <summary>
/// The tool converts a bf16 checkpoint in four shards to F8_E4M3 and to F32, in shards, as a process of its own; in
/// interleaved pairs with plain reads of the input and plain writes of as many bytes, forced to disk like the output.
/// </summary>
internal sealed class ConvertScenario : IScenario
{
    // A disk that writes 200 MB/s takes a minute for one pair.
    private const int MaximumRounds = 5;

    private const long MaximumPeak = 600L << 20;

    private static readonly int[] LaneCounts = [1, 2, 4];

    public string Name => "convert";

    public string Description => $"convert a bf16 checkpoint to f8_e4m3 and f32 shards: GB/s, peak memory; at most {MaximumRounds} rounds";

    public async Task<IReadOnlyList<Row>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var input = await Data.CheckpointAsync(options, cancellationToken);
        var rows = new List<Row>();
        foreach (var dtype in (string[])["f8_e4m3", "f32"])
        {
            rows.AddRange(await ConvertAsync(options, input, dtype, cancellationToken));
        }

        return rows;
    }

    private static async Task<IEnumerable<Row>> ConvertAsync(
        HarnessOptions options, string input, string dtype, CancellationToken cancellationToken)
    {
        options.Log.WriteLine($"to {dtype}");
        var output = Path.Combine(options.DataFolder, "converted");
        await using var checkpoint = await Checkpoint.OpenAsync(input, null, cancellationToken);
        using var read = new ReadYardstick(checkpoint.Files.Select(file => file.Path));
        var best = read.FindBest();
        // Once before it is measured: what it writes is what the yardstick writes.
        var (_, _, sizes) = await RunToolAsync(input, output, dtype, cancellationToken);
        var lanes = LaneCounts.MinBy(count => WriteYardstick.Measure(Path.Combine(options.DataFolder, "plain"), [Math.Min(sizes[0], 512L << 20)], count));
        var bytes = read.TotalBytes + sizes.Sum();
        var peaks = new List<double>();
        var pairs = await Pairs.MeasureAsync(
            Math.Min(options.Rounds, MaximumRounds),
            async () =>
            {
                Warm(sizes);
                var (seconds, peak, _) = await RunToolAsync(input, output, dtype, cancellationToken);
                peaks.Add(peak);
                return seconds;
            },
            () =>
            {
                Warm(sizes);
                return read.Measure(best.Lanes, best.BlockBytes) + WriteYardstick.Measure(Path.Combine(options.DataFolder, "plain"), sizes, lanes);
            });
        return
        [
            Pairs.RowOf(
                $"convert to {dtype} shards, read + written",
                bytes,
                pairs,
                $"plain reads, {best.Lanes} lanes x {best.BlockBytes >> 20} MiB, then plain writes, {lanes} lanes, forced to disk",
                "≥ 0.8"),
            new Row(
                $"peak memory of the tool, to {dtype}",
                $"{peaks.Max() / (1 << 20):0} MiB",
                "",
                "",
                $"≤ {MaximumPeak >> 20} MiB"),
        ];
    }

    // A virtual machine gives memory that nobody uses back to its host and gets it again page by page, slowly: whoever wrote
    // first would pay for the pages of both. Here each finds as many warm ones as it writes.
    private static void Warm(IReadOnlyList<long> sizes) => MemoryYardsticks.FirstTouch(sizes.Sum(), Environment.ProcessorCount);

    private static async Task<(double Seconds, double Peak, IReadOnlyList<long> Sizes)> RunToolAsync(
        string input, string output, string dtype, CancellationToken cancellationToken)
    {
        var text = await ToolProcess.RunAsync(
            ["convert", input, output, "--dtype", dtype, "--max-shard-size", "2GB", "--json"], cancellationToken);
        using var document = JsonDocument.Parse(text);
        var sizes = document.RootElement.GetProperty("files").EnumerateArray()
            .Select(file => new FileInfo(Path.Combine(output, file.GetString()!)).Length).ToArray();
        Directory.Delete(output, recursive: true);
        return (
            document.RootElement.GetProperty("seconds").GetDouble(),
            document.RootElement.GetProperty("peakMemoryBytes").GetDouble(),
            sizes);
    }
}
