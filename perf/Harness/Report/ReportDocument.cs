using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Json.Serialization;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A report as JSON, <c>ilgpu-loader/perf/1</c>: with every single value, so that anything can be computed from it later.</summary>
internal static class ReportDocument
{
    /// <summary>The document's name and version.</summary>
    public const string Schema = "ilgpu-loader/perf/1";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web)
    {
        WriteIndented = true,
        DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
        Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The JSON of a report.</summary>
    public static string Write(HarnessReport report) => JsonSerializer.Serialize(
        new Root(Schema, report.Machine, report.Date, report.Command, report.Data, [.. report.Rows.Select(RowOf)]), Options) + "\n";

    /// <summary>Reads a report.</summary>
    /// <exception cref="JsonException">It is none, or of another version.</exception>
    public static HarnessReport Read(string json)
    {
        var root = JsonSerializer.Deserialize<Root>(json, Options);
        return root is { Schema: Schema, Rows: { } rows }
            ? new HarnessReport(root.Machine, root.Date, root.Command, root.Data, [.. rows.Select(MeasurementOf)])
            : throw new JsonException($"A report has the schema {Schema}, not '{root?.Schema}'.");
    }

    private static Row RowOf(HarnessRow row) => new(
        row.Scenario,
        row.Measurement.Name,
        row.Measurement.Quantity,
        row.Measurement.Values,
        row.Measurement.Bytes,
        row.Measurement.Budget,
        row.Measurement.Note,
        row.Measurement.Skipped,
        [.. row.Measurement.Comparisons.Select(comparison => new Comparison(
            comparison.Name,
            comparison.Against,
            [.. comparison.Pairs.Select(pair => new[] { pair.Ours, pair.Other })],
            comparison.Target,
            comparison.Ratio,
            comparison.Skipped))]);

    private static HarnessRow MeasurementOf(Row row) => new(
        row.Scenario,
        new Measurement(row.Name, row.Unit, [.. row.Values], [.. row.Comparisons.Select(ComparisonOf)])
        {
            Bytes = row.Bytes,
            Budget = row.Budget,
            Note = row.Note,
            Skipped = row.Skipped,
        });

    private static MeasuredComparison ComparisonOf(Comparison comparison) =>
        new(comparison.Name, comparison.Against, [.. comparison.Pairs.Select(pair => new MeasuredPair(pair[0], pair[1]))])
        {
            Target = comparison.Target,
            Skipped = comparison.Skipped,
        };

    private sealed record Root(string Schema, string Machine, DateTimeOffset Date, string Command, string Data, ImmutableArray<Row>? Rows);

    private sealed record Row(
        string Scenario,
        string Name,
        MeasuredQuantity Unit,
        IReadOnlyList<double> Values,
        long? Bytes,
        double? Budget,
        string? Note,
        string? Skipped,
        IReadOnlyList<Comparison> Comparisons);

    // The ratio is there for readers; it is computed from the pairs when it is read.
    private sealed record Comparison(
        string Name, MeasuredAgainst Against, IReadOnlyList<double[]> Pairs, double? Target, MeasuredStatistic? Ratio, string? Skipped);
}
