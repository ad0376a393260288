using System.Text.Json;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// The tool converts a bf16 checkpoint in four shards to F8_E4M3 and to F32, in shards, as a process of its own; in
/// interleaved rounds with plain reads of the input and plain writes of as many bytes, forced to disk like the output.
/// </summary>
internal sealed class ConvertScenario : IScenario
{
    // A disk that writes 200 MB/s takes a minute for one pair.
    private const int MaximumRounds = 5;

    private const long MaximumPeak = 600L << 20;

    private static readonly int[] LaneCounts = [1, 2, 4];

    public string Name => "convert";

    public string Description => $"convert a bf16 checkpoint to f8_e4m3 and f32 shards: speed, peak memory; at most {MaximumRounds} rounds";

    public bool IsDefault => false;

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Llama(options), new DataFile("converted", DataFiles.Llama(options).Bytes * 2, IsKept: false)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var input = await TensorFiles.LlamaAsync(options, cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, input, cancellationToken);
        var rows = new List<Measurement>();
        foreach (var dtype in (string[])["f8_e4m3", "f32"])
        {
            options.Log.WriteLine($"to {dtype}");
            await ConvertAsync(options, input, file, dtype, rows, cancellationToken);
        }

        return rows;
    }

    private static async Task ConvertAsync(
        HarnessOptions options, string input, MeasuredFile file, string dtype, List<Measurement> rows, CancellationToken cancellationToken)
    {
        var (output, plain) = (Path.Combine(options.DataFolder, "converted"), Path.Combine(options.DataFolder, "plain"));
        var (reads, best) = (file.Limits.Reads, file.Limits.Best);
        // Once before it is measured: what it writes is what the yardstick writes.
        var (_, _, sizes) = await RunToolAsync(input, output, dtype, cancellationToken);
        var lanes = LaneCounts.MinBy(count => WriteYardstick.Measure(plain, [Math.Min(sizes[0], 512L << 20)], count));
        var peaks = new List<double>();
        var row = await InterleavedRounds.MeasureAsync(
            $"convert to {dtype} shards, read + written",
            Math.Min(options.Rounds, MaximumRounds),
            async token =>
            {
                Warm(sizes, token);
                var (seconds, peak, _) = await RunToolAsync(input, output, dtype, token);
                peaks.Add(peak);
                return seconds;
            },
            [
                Contestant.Limit($"{best}, then plain writes, {lanes} lanes, forced to disk", token =>
                {
                    Warm(sizes, token);
                    return reads.Measure(best, token) + WriteYardstick.Measure(plain, sizes, lanes);
                }) with
                { Target = 0.8 },
            ],
            cancellationToken);
        rows.Add(row with { Bytes = reads.TotalBytes + sizes.Sum() });
        rows.Add(Measurement.Of($"peak memory of the tool, to {dtype}", MeasuredQuantity.Bytes, peaks) with { Budget = MaximumPeak });
    }

    // A virtual machine gives memory that nobody uses back to its host and gets it again page by page, slowly: whoever wrote
    // first would pay for the pages of both. Here each finds as many warm ones as it writes.
    private static void Warm(IReadOnlyList<long> sizes, CancellationToken cancellationToken) =>
        MemoryYardsticks.FirstTouch(sizes.Sum(), Environment.ProcessorCount, sizes.Sum(), cancellationToken);

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
