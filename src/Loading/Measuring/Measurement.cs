using System.Collections.Immutable;
using System.Globalization;

namespace IlgpuLoader.Loading;

/// <summary>One thing that was measured, and what it is held against. Immutable.</summary>
/// <param name="Name">What was measured.</param>
/// <param name="Quantity">What the values are in.</param>
/// <param name="Values">One value a round; empty where it was left out.</param>
/// <param name="Comparisons">What it is held against.</param>
public sealed record Measurement(
    string Name, MeasuredQuantity Quantity, ImmutableArray<double> Values, ImmutableArray<MeasuredComparison> Comparisons)
{
    /// <summary>
    /// Of fewer bytes nobody wants the speed, 4 MiB: they are moved in about a millisecond, most of which is what every load does beside reading.
    /// </summary>
    public const long LeastBytesOfSpeed = 4L << 20;

    /// <summary>
    /// The bytes that were moved in each round, which make seconds a speed where there are <see cref="LeastBytesOfSpeed"/>; null where time is
    /// what counts.
    /// </summary>
    public long? Bytes { get; init; }

    /// <summary>The most that is aimed at, in the unit of the values; null for none.</summary>
    public double? Budget { get; init; }

    /// <summary>Why it was left out; null where it was measured.</summary>
    public string? Skipped { get; init; }

    /// <summary>What there is to say about it beside the numbers; null for nothing.</summary>
    public string? Note { get; init; }

    /// <summary>
    /// How the bytes of a load were read in the rounds that count: as <see cref="LoadStatistics.ReadMode"/>, with commas where it differed
    /// from round to round. Null for what is no load.
    /// </summary>
    public string? ReadMode { get; init; }

    /// <summary>The values, summed up. Null where it was left out.</summary>
    public MeasuredStatistic? Statistic => Values.IsEmpty ? null : MeasuredStatistic.Of(Values);

    /// <summary>One that stands alone.</summary>
    /// <param name="name">What was measured.</param>
    /// <param name="quantity">What the values are in.</param>
    /// <param name="values">The values.</param>
    public static Measurement Of(string name, MeasuredQuantity quantity, IEnumerable<double> values) => new(name, quantity, [.. values], []);

    /// <summary>One that was left out.</summary>
    /// <param name="name">What would have been measured.</param>
    /// <param name="reason">Why it was left out.</param>
    public static Measurement LeftOut(string name, string reason) => new(name, MeasuredQuantity.Seconds, [], []) { Skipped = reason };

    /// <summary>
    /// Values of this measurement, or of what it is held against, as people read them: a speed where bytes were moved, else milliseconds or
    /// seconds, or MiB.
    /// </summary>
    /// <param name="value">The values, summed up.</param>
    public string Format(MeasuredStatistic value) => (Quantity, Bytes) switch
    {
        (MeasuredQuantity.Bytes, _) => Scaled(value, 1.0 / (1 << 20), "0.0") + " MiB",
        // The least time is the greatest speed.
        (_, { } bytes and >= LeastBytesOfSpeed) => new MeasuredStatistic(bytes / value.Median / 1e9, bytes / value.Maximum / 1e9, bytes / value.Minimum / 1e9).ToString("0.00") + " GB/s",
        _ when value.Median >= 1 => Scaled(value, 1, "0.00") + " s",
        _ => Scaled(value, 1e3, value.Median >= 0.01 ? "0.0" : "0.000") + " ms",
    };

    /// <summary>The budget as people read it; empty where there is none.</summary>
    public string FormatBudget() => Budget is not { } budget
        ? ""
        : Quantity == MeasuredQuantity.Bytes
            ? string.Create(CultureInfo.InvariantCulture, $"{budget / (1 << 20):0.#} MiB")
            : string.Create(CultureInfo.InvariantCulture, $"{budget * 1e3:0.###} ms");

    private static string Scaled(MeasuredStatistic value, double factor, string format) =>
        new MeasuredStatistic(value.Median * factor, value.Minimum * factor, value.Maximum * factor).ToString(format);
}
