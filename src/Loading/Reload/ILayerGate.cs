namespace IlgpuLoader.Loading;

/// <summary>Keeps readers of a live model's layer off while new weights are copied into it. Safe for any thread.</summary>
public interface ILayerGate
{
    /// <summary>Waits until nobody reads a layer, and lets nobody begin to until what is returned is disposed.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="cancellationToken">Ends the waiting; the gate is open then.</param>
    /// <returns>What opens the gate again when it is disposed; null where readers took too long, and the gate is open.</returns>
    ValueTask<IDisposable?> CloseAsync(ModelLayer layer, CancellationToken cancellationToken);

    /// <summary>Says that the first byte of a closed layer is about to be written: from now on nobody knows what it has, until <see cref="EndCopy"/>.</summary>
    /// <param name="layer">The layer.</param>
    void BeginCopy(ModelLayer layer)
    {
    }

    /// <summary>Says that a closed layer has all of its new weights, and the device has passed the copies.</summary>
    /// <param name="layer">The layer.</param>
    void EndCopy(ModelLayer layer)
    {
    }
}
