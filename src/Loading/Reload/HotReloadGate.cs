using System.Collections.Frozen;

namespace IlgpuLoader.Loading;

/// <summary>
/// The gates of a live model as one reload closes them: the gate of the whole model before the first copy, until the reload ends, and each layer's for its own copy. Used by one reload.
/// </summary>
/// <param name="layers">The layers of the model.</param>
/// <param name="whole">The gate of leases over all layers.</param>
/// <param name="version">The version that the layers get.</param>
/// <param name="timeout">How long it waits for readers of a layer.</param>
/// <param name="time">What measures the waiting.</param>
/// <param name="changed">Called when a layer has the version.</param>
internal sealed class HotReloadGate(
    FrozenDictionary<ModelLayer, HotLayer> layers, LayerGate whole, long version, TimeSpan timeout, TimeProvider time, Action changed) : ILayerGate, IDisposable
{
    private LayerGate.Closure? _whole;

    // Leases over all layers are waited for this long in all, and not again for each layer: a reader that keeps one would hold a model of a hundred layers for minutes.
    private TimeSpan? _left;
    private bool _hasClosed;

    // Layers that are closed one after the other, as all of them are before they are swapped, are waited for this long in all: readers of the first wait as long as it takes to close the last.
    private int _closed;
    private long _begin;

    /// <inheritdoc/>
    public async ValueTask<IDisposable?> CloseAsync(ModelLayer layer, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(layer);
        if (_closed == 0)
        {
            _begin = time.GetTimestamp();
        }

        if (_whole is null)
        {
            var begin = time.GetTimestamp();
            _whole = await whole.CloseAsync(_left ?? timeout, cancellationToken).ConfigureAwait(false);
            _left = Less(_left ?? timeout, time.GetElapsedTime(begin));
            if (_whole is null)
            {
                return null;
            }
        }

        var closure = await CloseAsync(layers[layer], Less(timeout, time.GetElapsedTime(_begin)), cancellationToken).ConfigureAwait(false);
        if (closure is null)
        {
            return null;
        }

        _hasClosed = true;
        _closed++;
        return new Closed(this, closure);
    }

    /// <inheritdoc/>
    public void BeginCopy(ModelLayer layer) => layers[layer].MarkTorn();

    /// <inheritdoc/>
    public void EndCopy(ModelLayer layer)
    {
        layers[layer].MarkNew(version);
        changed();
    }

    /// <summary>Lets leases over all layers in again.</summary>
    public void Dispose() => OpenWhole();

    private async ValueTask<LayerGate.Closure?> CloseAsync(HotLayer layer, TimeSpan left, CancellationToken cancellationToken)
    {
        LayerGate.Closure? closure = null;
        try
        {
            closure = await layer.Gate.CloseAsync(left, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // As long as nothing was copied all layers are of one version, and nobody has to wait for the reload's end.
            if (closure is null && !_hasClosed)
            {
                OpenWhole();
            }
        }

        return closure;
    }

    private static TimeSpan Less(TimeSpan left, TimeSpan elapsed) =>
        left == Timeout.InfiniteTimeSpan ? left : left > elapsed ? left - elapsed : TimeSpan.Zero;

    private void OpenWhole()
    {
        _whole?.Dispose();
        _whole = null;
    }

    private sealed class Closed(HotReloadGate gate, LayerGate.Closure closure) : IDisposable
    {
        private bool _isOpen;

        public void Dispose()
        {
            closure.Dispose();
            if (!_isOpen)
            {
                _isOpen = true;
                gate._closed--;
            }
        }
    }
}
