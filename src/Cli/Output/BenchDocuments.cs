using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Output;

/// <summary>What <c>bench</c> has measured. What could not be measured has <c>skipped</c>, the reason, and no values.</summary>
internal sealed record BenchDocument(
    string Path,
    string Format,
    int Tensors,
    long BytesRead,
    BenchMachine Machine,
    string Device,
    DateTimeOffset Date,
    int Rounds,
    int Lanes,
    long StagingBytes,
    string ReadMode,
    long YardstickBytes,
    bool YardstickBounded,
    bool FilesCached,
    IReadOnlyList<BenchRow> Limits,
    IReadOnlyList<BenchRow> Rows) : Document("ilgpu-loader/bench/1");

internal sealed record BenchMachine(string Processor, long MemoryBytes, string System, string Runtime, string Architecture);

/// <summary>
/// One line: the values of all rounds in seconds or bytes, of which less is better; the bytes that each round moved, where that makes a
/// speed; what it is held against; and of a load how its bytes were read.
/// </summary>
internal sealed record BenchRow(
    string Name,
    string Unit,
    IReadOnlyList<double> Values,
    BenchSpread? Spread,
    long? Bytes,
    double? Budget,
    string? Skipped,
    IReadOnlyList<BenchComparison> Comparisons,
    string? ReadMode);

internal sealed record BenchSpread(double Median, double Minimum, double Maximum);

/// <summary>What a line is held against: the values of the same rounds, and what they are to ours; above 1 ours is better.</summary>
internal sealed record BenchComparison(string Name, string Against, IReadOnlyList<double> Values, BenchSpread? Ratio, string? Skipped);

/// <summary>Makes the document of a report.</summary>
internal static class BenchDocuments
{
    public static BenchDocument Of(CheckpointBenchmarkReport report, string readMode) => new(
        report.Path,
        report.Format,
        report.Tensors,
        report.BytesRead,
        new BenchMachine(
            report.Machine.Processor, report.Machine.MemoryBytes, report.Machine.System, report.Machine.Runtime, report.Machine.Architecture),
        report.Device,
        report.Date,
        report.Rounds,
        report.Lanes,
        report.StagingBytes,
        readMode,
        report.YardstickBytes,
        report.IsYardstickBounded,
        report.AreFilesCached,
        [.. report.Limits.Select(RowOf)],
        [.. report.Rows.Select(RowOf)]);

    private static BenchRow RowOf(Measurement row) => new(
        row.Name,
        row.Quantity == MeasuredQuantity.Bytes ? "bytes" : "seconds",
        row.Values,
        SpreadOf(row.Statistic),
        row.Bytes,
        row.Budget,
        row.Skipped,
        [.. row.Comparisons.Select(comparison => new BenchComparison(
            comparison.Name,
            comparison.Against switch
            {
                MeasuredAgainst.Limit => "limit",
                MeasuredAgainst.Peer => "peer",
                _ => "baseline",
            },
            [.. comparison.Pairs.Select(pair => pair.Other)],
            SpreadOf(comparison.Ratio),
            comparison.Skipped))],
        row.ReadMode);

    private static BenchSpread? SpreadOf(MeasuredStatistic? statistic) =>
        statistic is { } value ? new BenchSpread(value.Median, value.Minimum, value.Maximum) : null;
}
