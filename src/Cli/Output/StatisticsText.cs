using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Output;

/// <summary>Statistics as people read them.</summary>
internal static class StatisticsText
{
    /// <summary>The heads of a table's columns.</summary>
    public static string[] Heads { get; } = ["min", "max", "mean", "std", "zeros", "NaN", "Inf"];

    /// <summary>A row of a table under <see cref="Heads"/>; a dash for what there is not.</summary>
    public static string[] Row(ValueStatistics statistics) =>
    [
        Short(statistics.Minimum),
        Short(statistics.Maximum),
        Short(statistics.Mean),
        Short(statistics.StandardDeviation),
        Sizes.Count(statistics.ZeroCount),
        Sizes.Count(statistics.NaNCount),
        Sizes.Count(statistics.PositiveInfinityCount + statistics.NegativeInfinityCount),
    ];

    /// <summary>Lines with all statistics of one tensor.</summary>
    public static void WriteTo(TextWriter output, ValueStatistics statistics, bool isComplex)
    {
        var table = new TextTable("ll");
        table.Add(isComplex ? "values (parts)" : "values", Sizes.Count(statistics.Count));
        table.Add("min", Full(statistics.Minimum));
        table.Add("max", Full(statistics.Maximum));
        table.Add("mean", Short(statistics.Mean));
        table.Add("std (population)", Short(statistics.StandardDeviation));
        table.Add("zeros", CountAndShare(statistics.ZeroCount, statistics.Count));
        table.Add("NaN", CountAndShare(statistics.NaNCount, statistics.Count));
        table.Add("+Inf", CountAndShare(statistics.PositiveInfinityCount, statistics.Count));
        table.Add("-Inf", CountAndShare(statistics.NegativeInfinityCount, statistics.Count));
        table.WriteTo(output, "  ");
    }

    /// <summary>A share such as <c>12.5%</c>.</summary>
    public static string Share(long count, long total) =>
        total == 0 ? "" : ((double)count / total).ToString("0.0%", CultureInfo.InvariantCulture);

    /// <summary>A number with as many digits as tell it apart at a glance.</summary>
    public static string Short(double? number) => number is { } value ? value.ToString("G6", CultureInfo.InvariantCulture) : "-";

    private static string Short(StoredValue? stored) => stored switch
    {
        null => "-",
        { Exact: null, DType: var dtype } value when dtype.Kind is not DTypeKind.Integer and not DTypeKind.Boolean => Short(value.Number),
        { } value => value.ToString(),
    };

    /// <summary>
    /// A value with the digits of a float32, where 16 bits would do with fewer: ends and differences are compared with what
    /// other lines say of them.
    /// </summary>
    public static string Full(StoredValue? value) => value switch
    {
        null => "-",
        { DType: DType.F16 or DType.BF16, Number: var number } => ((float)number).ToString(CultureInfo.InvariantCulture),
        { } stored => stored.ToString(),
    };

    private static string CountAndShare(long count, long total) =>
        count == 0 ? "0" : $"{Sizes.Count(count)}  ({Share(count, total)})";
}
