using System.Globalization;

namespace IlgpuLoader.Harness;

/// <summary>The middle, least and greatest of a series of measurements.</summary>
internal readonly record struct Statistic(double Median, double Minimum, double Maximum)
{
    public static Statistic Of(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        var median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new Statistic(median, sorted[0], sorted[^1]);
    }

    public string ToString(string format) => string.Create(
        CultureInfo.InvariantCulture,
        $"{Median.ToString(format, CultureInfo.InvariantCulture)} ({Minimum.ToString(format, CultureInfo.InvariantCulture)} to {Maximum.ToString(format, CultureInfo.InvariantCulture)})");
}
