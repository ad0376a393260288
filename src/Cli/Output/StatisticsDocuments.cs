using System.Text.Json.Serialization;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Output;

/// <summary>
/// Statistics of one tensor in a document. NaN and infinities are left out of min, max, mean and standardDeviation (of the
/// population), which are null where no value is left.
/// </summary>
internal sealed record DescribedStatistics(
    long Count,
    long Zeros,
    [property: JsonPropertyName("nan")] long NaN,
    long PositiveInfinity,
    long NegativeInfinity,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DocumentValue? Min,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DocumentValue? Max,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DocumentValue? Mean,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.Never)] DocumentValue? StandardDeviation)
{
    public static DescribedStatistics? Of(ValueStatistics? statistics) => statistics is null ? null : new DescribedStatistics(
        statistics.Count,
        statistics.ZeroCount,
        statistics.NaNCount,
        statistics.PositiveInfinityCount,
        statistics.NegativeInfinityCount,
        DocumentValue.Of(statistics.Minimum),
        DocumentValue.Of(statistics.Maximum),
        DocumentValue.Of(statistics.Mean),
        DocumentValue.Of(statistics.StandardDeviation));
}
