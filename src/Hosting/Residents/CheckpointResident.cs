using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>The tensors of a checkpoint, which live and are freed together.</summary>
/// <param name="name">The hosted model's name.</param>
/// <param name="model">The tensors; this one's from now on.</param>
/// <param name="version">The version that they are.</param>
/// <param name="leaseTimeout">How long freeing waits for leases.</param>
/// <param name="time">What measures it.</param>
internal sealed class CheckpointResident(string name, LoadedModel model, long version, TimeSpan leaseTimeout, TimeProvider time) : ResidentModel
{
    private readonly LeaseCount _leases = new();
    private readonly Lock _lock = new();
    private Task? _freeing;

    /// <inheritdoc/>
    public override long Version => version;

    /// <inheritdoc/>
    public override bool IsFreed
    {
        get
        {
            lock (_lock)
            {
                return _freeing is { IsCompleted: true };
            }
        }
    }

    /// <inheritdoc/>
    public override ValueTask<IModelLease?> LeaseAsync(string? layer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (layer is not null && !Tensors.Any(tensor => IsOf(tensor.Name, layer)))
        {
            throw new LayerNotFoundException(layer, Tensors.Select(tensor => tensor.Name));
        }

        return new ValueTask<IModelLease?>(TryLease());
    }

    /// <inheritdoc/>
    public override IModelLease? TryLease() => _leases.TryEnter() ? new CheckpointLease(name, model, version, _leases) : null;

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        Task freeing;
        lock (_lock)
        {
            freeing = _freeing ??= FreeAsync();
        }

        try
        {
            await freeing.WaitAsync(leaseTimeout, time).ConfigureAwait(false);
        }
        catch (TimeoutException) when (!freeing.IsCompleted)
        {
            // Freed by the last reader.
        }
    }

    private static bool IsOf(string tensor, string layer) => tensor == layer || (tensor.StartsWith(layer, StringComparison.Ordinal) && tensor[layer.Length] == '.');

    private async Task FreeAsync()
    {
        try
        {
            await _leases.CloseAsync().ConfigureAwait(false);
        }
        finally
        {
            model.Dispose();
        }
    }
}
