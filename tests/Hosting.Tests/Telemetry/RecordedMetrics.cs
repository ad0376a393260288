using System.Collections.Concurrent;
using System.Diagnostics.Metrics;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Listens to the meters of one factory.</summary>
internal sealed class RecordedMetrics : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentQueue<Measured> _all = [];

    public RecordedMetrics(IMeterFactory factory)
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (ReferenceEquals(instrument.Meter.Scope, factory))
            {
                Instruments.Add(instrument);
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Keep(instrument, value, tags));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Keep(instrument, value, tags));
        _listener.Start();
    }

    public List<Instrument> Instruments { get; } = [];

    /// <summary>What was measured, in its order; who wants what is observed collects before.</summary>
    public IReadOnlyList<Measured> All => [.. _all];

    /// <summary>What an instrument has measured: the values by their tags, as <c>model=llama,state=loaded</c>.</summary>
    public IReadOnlyList<(string Tags, double Value)> Of(string instrument) => [.. _all.Where(one => one.Instrument == instrument).Select(one => (one.Text, one.Value))];

    public void Collect() => _listener.RecordObservableInstruments();

    public void Dispose() => _listener.Dispose();

    private void Keep(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags) =>
        _all.Enqueue(new Measured(instrument.Name, value, [.. tags.ToArray().Select(tag => KeyValuePair.Create(tag.Key, $"{tag.Value}"))]));

    /// <summary>One measurement.</summary>
    internal sealed record Measured(string Instrument, double Value, KeyValuePair<string, string>[] Tags)
    {
        public string Text => string.Join(',', Tags.Select(tag => $"{tag.Key}={tag.Value}"));
    }
}
