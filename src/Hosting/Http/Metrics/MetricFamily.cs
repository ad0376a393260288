using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace IlgpuLoader.Hosting;

/// <summary>All series of one metric: a number, or a histogram, for each combination of tags. Safe for any thread.</summary>
internal sealed class MetricFamily
{
    /// <summary>How many combinations of tags are kept: far more than any of the instruments has, since their tags are of few values.</summary>
    public const int MaximumSeries = 1000;

    // OpenTelemetry's for instruments that advise none.
    private static readonly double[] DefaultBounds = [0, 5, 10, 25, 50, 75, 100, 250, 500, 750, 1000, 2500, 5000, 7500, 10000];

    private readonly ConcurrentDictionary<string, MetricSeries> _series = new(StringComparer.Ordinal);
    private readonly string? _description;
    private readonly bool _isObservable;
    private readonly double[] _bounds;
    private readonly Action<string> _leftOut;
    private int _saidLeftOut;

    private MetricFamily(string name, MetricKind kind, string? description, bool isObservable, double[] bounds, Action<string> leftOut)
    {
        Name = name;
        Kind = kind;
        _description = description;
        _isObservable = isObservable;
        _bounds = bounds;
        _leftOut = leftOut;
    }

    /// <summary>The name in Prometheus' form.</summary>
    public string Name { get; }

    /// <summary>How measurements become numbers.</summary>
    public MetricKind Kind { get; }

    /// <summary>The metric that an instrument measures.</summary>
    /// <param name="instrument">The instrument.</param>
    /// <param name="leftOut">Is told the name, once, when series are left out.</param>
    public static MetricFamily Of(Instrument instrument, Action<string> leftOut)
    {
        var type = instrument.GetType().GetGenericTypeDefinition();
        var kind = type == typeof(Histogram<>) ? MetricKind.Histogram
            : type == typeof(Counter<>) || type == typeof(ObservableCounter<>) ? MetricKind.Counter
            : type == typeof(UpDownCounter<>) || type == typeof(ObservableUpDownCounter<>) ? MetricKind.UpDown
            : MetricKind.Gauge;
        return new MetricFamily(
            PrometheusText.NameOf(instrument.Name, instrument.Unit, kind), kind, instrument.Description, instrument.IsObservable, BoundsOf(instrument) ?? DefaultBounds, leftOut);
    }

    /// <summary>Takes a measurement; what an observable instrument gives is the whole, other measurements add up.</summary>
    public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = PrometheusText.Labels(tags);
        if (!_series.TryGetValue(labels, out var series))
        {
            if (_series.Count >= MaximumSeries)
            {
                if (Interlocked.Exchange(ref _saidLeftOut, 1) == 0)
                {
                    _leftOut(Name);
                }

                return;
            }

            series = _series.GetOrAdd(labels, _ => new MetricSeries(Kind == MetricKind.Histogram ? _bounds : null));
        }

        series.Record(value, isWhole: _isObservable || Kind == MetricKind.Gauge);
    }

    /// <summary>Forgets what is asked for anew: series that are no longer observed must not stay.</summary>
    public void ForgetObserved()
    {
        if (_isObservable)
        {
            _series.Clear();
        }
    }

    /// <summary>Writes the metric; nothing where it was never measured.</summary>
    public void WriteTo(StringBuilder text)
    {
        if (_series.IsEmpty)
        {
            return;
        }

        if (_description is not null)
        {
            _ = text.Append($"# HELP {Name} ").Append(PrometheusText.Escape(_description, quotes: false)).Append('\n');
        }

        _ = text.Append($"# TYPE {Name} {(Kind == MetricKind.UpDown ? "gauge" : Kind.ToString().ToLowerInvariant())}\n");
        foreach (var (labels, series) in _series.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            series.WriteTo(text, Name, labels);
        }
    }

    private static double[]? BoundsOf(Instrument instrument) => instrument switch
    {
        Histogram<double> histogram => Bounds(histogram.Advice),
        Histogram<float> histogram => Bounds(histogram.Advice),
        Histogram<long> histogram => Bounds(histogram.Advice),
        Histogram<int> histogram => Bounds(histogram.Advice),
        _ => null,
    };

    private static double[]? Bounds<T>(InstrumentAdvice<T>? advice)
        where T : struct => advice?.HistogramBucketBoundaries is { } bounds ? [.. bounds.Select(bound => Convert.ToDouble(bound, CultureInfo.InvariantCulture))] : null;
}
