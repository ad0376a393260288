using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>The tensors of a checkpoint, which live and are freed together.</summary>
/// <param name="name">The hosted model's name.</param>
/// <param name="model">The tensors; this one's from now on.</param>
/// <param name="version">The version that they are.</param>
internal sealed class CheckpointResident(string name, LoadedModel model, long version) : ResidentModel
{
    private readonly LeaseCount _leases = new();

    /// <inheritdoc/>
    public override long Version => version;

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
    protected override async Task CloseAndFreeAsync()
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

    private static bool IsOf(string tensor, string layer) => tensor == layer || (tensor.StartsWith(layer, StringComparison.Ordinal) && tensor[layer.Length] == '.');
}
