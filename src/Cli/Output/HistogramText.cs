using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Output;

/// <summary>A histogram as lines of bars.</summary>
internal static class HistogramText
{
    // With labels, counts and shares a line stays within 80 columns.
    private const int BarWidth = 32;

    // Parts of a cell from the left: one to eight eighths.
    private const string Eighths = "▏▎▍▌▋▊▉█";

    /// <summary>Writes a line a bin: its ends, a bar as long as its count, the count, and its share of all bins.</summary>
    public static void WriteTo(TextWriter output, ImmutableArray<HistogramBin> bins)
    {
        var total = bins.Sum(bin => bin.Count);
        var most = bins.Max(bin => bin.Count);
        var labels = Labels(bins);
        var oneEnd = Array.TrueForAll(labels, label => label.Upper == "");
        var table = new TextTable(oneEnd ? "rlrr" : "rlrlrr");
        for (var i = 0; i < bins.Length; i++)
        {
            var (lower, upper) = labels[i];
            string[] ends = oneEnd ? [lower] : [lower, upper == "" ? "" : "to", upper];
            table.Add([.. ends, Bar(bins[i].Count, most).PadRight(BarWidth), Sizes.Count(bins[i].Count), StatisticsText.Share(bins[i].Count, total)]);
        }

        table.WriteTo(output, "  ");
    }

    // What is there is seen: a bin that is not empty has at least an eighth.
    private static string Bar(long count, long most)
    {
        var eighths = count == 0 ? 0 : Math.Max(1, (int)Math.Round((double)count / most * BarWidth * Eighths.Length));
        var (full, rest) = Math.DivRem(eighths, Eighths.Length);
        return new string(Eighths[^1], full) + (rest == 0 ? "" : Eighths[rest - 1]);
    }

    // Integers are written out, and a bin of one integer or of one value has no second end. Others get as many digits as
    // tell the bins apart.
    private static (string Lower, string Upper)[] Labels(ImmutableArray<HistogramBin> bins)
    {
        const int fewest = 4;
        const int most = 17;
        if (bins[0].Lower.DType.Kind is DTypeKind.Integer or DTypeKind.Boolean || bins[0].Lower == bins[^1].Upper)
        {
            return [.. bins.Select(bin => (bin.Lower.ToString(), bin.Lower == bin.Upper ? "" : bin.Upper.ToString()))];
        }

        for (var digits = fewest; ; digits++)
        {
            var format = $"G{digits}";
            var labels = bins.Select(bin => (
                bin.Lower.Number.ToString(format, CultureInfo.InvariantCulture), bin.Upper.Number.ToString(format, CultureInfo.InvariantCulture))).ToArray();
            if (digits == most || labels.All(label => label.Item1 != label.Item2))
            {
                return labels;
            }
        }
    }
}
