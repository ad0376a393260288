using System.Globalization;

namespace IlgpuLoader.Loading;

/// <summary>The middle, the least and the greatest of a series of measurements. Immutable.</summary>
/// <param name="Median">The middle value; the mean of the two in the middle where their number is even.</param>
/// <param name="Minimum">The least.</param>
/// <param name="Maximum">The greatest.</param>
public readonly record struct MeasuredStatistic(double Median, double Minimum, double Maximum)
{
    /// <summary>Sums up a series.</summary>
    /// <param name="values">At least one value, in any order.</param>
    /// <exception cref="ArgumentException">There is none.</exception>
    public static MeasuredStatistic Of(IEnumerable<double> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        var sorted = values.Order().ToArray();
        if (sorted.Length == 0)
        {
            throw new ArgumentException("Nothing was measured.", nameof(values));
        }

        var middle = sorted.Length / 2;
        var median = sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
        return new MeasuredStatistic(median, sorted[0], sorted[^1]);
    }

    /// <summary>The median, and in brackets the least and the greatest, where they differ.</summary>
    /// <param name="format">The format of each number, such as <c>0.00</c>.</param>
    public string ToString(string format)
    {
        var median = Median.ToString(format, CultureInfo.InvariantCulture);
        return Minimum == Maximum
            ? median
            : $"{median} ({Minimum.ToString(format, CultureInfo.InvariantCulture)} to {Maximum.ToString(format, CultureInfo.InvariantCulture)})";
    }
}
