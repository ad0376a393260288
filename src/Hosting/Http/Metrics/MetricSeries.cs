using System.Text;

namespace IlgpuLoader.Hosting;

/// <summary>One number, or one histogram. Safe for any thread.</summary>
/// <param name="bounds">The upper bounds of a histogram's buckets, ascending; null for a number.</param>
internal sealed class MetricSeries(double[]? bounds)
{
    private readonly Lock _lock = new();
    private readonly long[] _buckets = new long[bounds is null ? 0 : bounds.Length + 1];
    private double _sum;

    /// <summary>Takes a measurement.</summary>
    /// <param name="value">The value.</param>
    /// <param name="isWhole">Whether it is what the number is now, and not what comes to it.</param>
    public void Record(double value, bool isWhole)
    {
        lock (_lock)
        {
            _sum = isWhole ? value : _sum + value;
            if (bounds is not null)
            {
                // A bound belongs to its bucket.
                var at = Array.BinarySearch(bounds, value);
                _buckets[at < 0 ? ~at : at]++;
            }
        }
    }

    /// <summary>Writes the lines of the series.</summary>
    public void WriteTo(StringBuilder text, string name, string labels)
    {
        double sum;
        long[] buckets;
        lock (_lock)
        {
            (sum, buckets) = (_sum, [.. _buckets]);
        }

        if (bounds is null)
        {
            PrometheusText.AppendLine(text, name, labels, sum);
            return;
        }

        var count = 0L;
        for (var i = 0; i < buckets.Length; i++)
        {
            count += buckets[i];
            var bound = $"le=\"{(i < bounds.Length ? PrometheusText.Number(bounds[i]) : "+Inf")}\"";
            PrometheusText.AppendLine(text, $"{name}_bucket", labels.Length == 0 ? bound : $"{labels},{bound}", count);
        }

        PrometheusText.AppendLine(text, $"{name}_sum", labels, sum);
        PrometheusText.AppendLine(text, $"{name}_count", labels, count);
    }
}
