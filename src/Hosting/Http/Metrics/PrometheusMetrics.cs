using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Diagnostics.Metrics;
using System.Text;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

/// <summary>
/// Gathers what the loader's, ASP.NET's and the runtime's meters measure, and writes it in Prometheus' text format. Small and our own, because OpenTelemetry's exporter is published as a prerelease
/// only, which a released package must not depend on, and hears the meters of every host in the process. Safe for any thread.
/// </summary>
internal sealed partial class PrometheusMetrics : IDisposable
{
    /// <summary>The type of <see cref="Scrape"/>'s text.</summary>
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    private static readonly FrozenSet<string> Meters = new[]
    {
        IlgpuLoaderTelemetry.MeterName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel", "System.Runtime",
    }.ToFrozenSet(StringComparer.Ordinal);

    private readonly IMeterFactory _factory;
    private readonly ILogger _logger;
    private readonly MeterListener _listener = new();
    private readonly Lock _scraping = new();
    private readonly ConcurrentDictionary<string, MetricFamily> _families = new(StringComparer.Ordinal);

    /// <summary>Begins to listen: what was measured before is lost.</summary>
    /// <param name="factory">The host's own: meters of other hosts in the process, which have theirs, are left out.</param>
    /// <param name="logger">Hears of what is left out.</param>
    public PrometheusMetrics(IMeterFactory factory, ILogger<PrometheusMetrics> logger)
    {
        _factory = factory;
        _logger = logger;
        _listener.InstrumentPublished = Listen;
        _listener.SetMeasurementEventCallback<byte>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<short>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<int>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<long>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<float>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<double>((_, value, tags, state) => Record(state, value, tags));
        _listener.SetMeasurementEventCallback<decimal>((_, value, tags, state) => Record(state, (double)value, tags));
        _listener.Start();
    }

    /// <summary>All that was measured, as UTF-8.</summary>
    public byte[] Scrape()
    {
        // One at a time: what is observed is forgotten and asked for anew.
        lock (_scraping)
        {
            foreach (var family in _families.Values)
            {
                family.ForgetObserved();
            }

            try
            {
                _listener.RecordObservableInstruments();
            }
            catch (AggregateException exception)
            {
                // All instruments were asked; those that failed have no value this time, and the others theirs.
                ObservationFailed(_logger, exception.InnerExceptions.Count, exception);
            }

            var text = new StringBuilder();
            foreach (var family in _families.Values.OrderBy(family => family.Name, StringComparer.Ordinal))
            {
                family.WriteTo(text);
            }

            return Encoding.UTF8.GetBytes(text.ToString());
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    private void Listen(Instrument instrument, MeterListener listener)
    {
        if (!Meters.Contains(instrument.Meter.Name) || (instrument.Meter.Scope is { } scope && !ReferenceEquals(scope, _factory)))
        {
            return;
        }

        var made = MetricFamily.Of(instrument, name => SeriesLeftOut(_logger, name, MetricFamily.MaximumSeries));
        var family = _families.GetOrAdd(made.Name, made);
        // Two instruments of one name and another kind: the first has it.
        if (family.Kind == made.Kind)
        {
            listener.EnableMeasurementEvents(instrument, family);
        }
    }

    private static void Record(object? family, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) => ((MetricFamily)family!).Record(value, tags);

    [LoggerMessage(
        EventId = HttpEventIds.SeriesLeftOut, EventName = nameof(SeriesLeftOut), Level = LogLevel.Warning, Message = "{Metric} has more than {Maximum} series; further ones are left out of /metrics.")]
    private static partial void SeriesLeftOut(ILogger logger, string metric, int maximum);

    [LoggerMessage(
        EventId = HttpEventIds.ObservationFailed, EventName = nameof(ObservationFailed), Level = LogLevel.Warning, Message = "{Count} instruments could not be observed, and are left out of this scrape of /metrics.")]
    private static partial void ObservationFailed(ILogger logger, int count, Exception exception);
}
