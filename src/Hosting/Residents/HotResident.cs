using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>The parameters of an architecture, whose weights are replaced in place.</summary>
/// <param name="name">The hosted model's name.</param>
/// <param name="model">The live model; this one's from now on.</param>
/// <param name="versionsBefore">The hosted model's version before it was loaded.</param>
internal sealed class HotResident(string name, HotModel model, long versionsBefore) : ResidentModel
{
    /// <inheritdoc/>
    public override long Version => versionsBefore + model.Version;

    /// <summary>The live model.</summary>
    public HotModel Model => model;

    /// <inheritdoc/>
    public override async ValueTask<IModelLease?> LeaseAsync(string? layer, CancellationToken cancellationToken)
    {
        try
        {
            return layer is null
                ? Of(await model.LeaseModelAsync(cancellationToken).ConfigureAwait(false))
                : new LayerModelLease(name, await model.LeaseAsync(layer, cancellationToken).ConfigureAwait(false), versionsBefore);
        }
        catch (ObjectDisposedException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public override IModelLease? TryLease()
    {
        using var giveUp = new CancellationTokenSource();
        var leasing = model.LeaseModelAsync(giveUp.Token).AsTask();
        if (!leasing.IsCompleted)
        {
            giveUp.Cancel();
            // It may have come between.
            _ = leasing.ContinueWith(
                static late => late.Result.Dispose(), CancellationToken.None, TaskContinuationOptions.OnlyOnRanToCompletion | TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            return null;
        }

        // Layers of different versions, or a model that is about to be freed: there is nothing to lease as one.
        return leasing.IsCompletedSuccessfully ? Of(leasing.Result) : null;
    }

    /// <inheritdoc/>
    protected override async Task CloseAndFreeAsync()
    {
        // Each call waits for the readers as long as the options say.
        do
        {
            await model.DisposeAsync().ConfigureAwait(false);
        }
        while (!IsFreed);
    }

    private bool IsFreed => model.Layers.All(layer => layer.Tensors.Values.All(tensor => tensor.IsDisposed));

    private WholeModelLease Of(ModelLease lease) => new(name, lease, this, versionsBefore);
}
