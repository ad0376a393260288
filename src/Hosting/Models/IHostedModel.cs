using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Hosting;

/// <summary>
/// A model that the host loads, frees and replaces. There is one for each configured model, from the start of the host to its end, whether its tensors are in memory or not; in a
/// container it is the keyed service of the model's name. Safe for any thread.
/// </summary>
public interface IHostedModel
{
    /// <summary>The name.</summary>
    string Name { get; }

    /// <summary>What it is now.</summary>
    ModelStatus Status { get; }

    /// <summary>Its tensors, in the order of the model: as the plan has them while it is loaded; empty until that is made and after it was unloaded.</summary>
    ImmutableArray<HostedTensor> Tensors { get; }

    /// <summary>Leases the model: its tensors stay, and stay as they are, until the lease is over. Waits while the model is loaded for the first time, or its load is tried again.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>A lease, which the caller disposes.</returns>
    /// <exception cref="ModelNotAvailableException">It is not loaded and nobody loads it, or its load has failed for good; the failure is the inner exception.</exception>
    /// <exception cref="InvalidOperationException">A reload left layers their old weights, so that they are not of one version; they can be leased one by one (<see cref="LeaseLayerAsync"/>).</exception>
    /// <exception cref="ObjectDisposedException">The host has ended.</exception>
    ValueTask<IModelLease> LeaseAsync(CancellationToken cancellationToken = default);

    /// <summary>Leases what a layer has, so that a reload goes on with the others; of a checkpoint's own tensors, which are replaced at once, all of them.</summary>
    /// <param name="layer">The full name of a layer, or of a module or tensor in it.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>A lease, which the caller disposes.</returns>
    /// <exception cref="Loading.LayerNotFoundException">There is no such layer.</exception>
    /// <inheritdoc cref="LeaseAsync" path="/exception"/>
    ValueTask<IModelLease> LeaseLayerAsync(string layer, CancellationToken cancellationToken = default);

    /// <summary>
    /// Leases the model where that is possible at once. Of a layout, all of which a reload replaces in place, it is not while a reload writes, and not where one has left layers their old weights; layers can be leased
    /// one by one then (<see cref="LeaseLayerAsync"/>).
    /// </summary>
    /// <param name="lease">The lease, which the caller disposes; null where the model is not there.</param>
    bool TryLease([NotNullWhen(true)] out IModelLease? lease);

    /// <summary>Loads the model where it is not loaded, and waits until it is; several callers wait for one load.</summary>
    /// <param name="cancellationToken">Ends the waiting; the load goes on, which <see cref="UnloadAsync"/> ends.</param>
    /// <exception cref="ModelNotAvailableException">The load has failed, which is the inner exception, or it was unloaded meanwhile.</exception>
    /// <exception cref="ObjectDisposedException">The host has ended.</exception>
    Task LoadAsync(CancellationToken cancellationToken = default);

    /// <summary>Loads the model again from its path; where it is not loaded, loads it. One reload at a time: a second waits for the first.</summary>
    /// <param name="cancellationToken">Ends the waiting, and the reload as long as it is this call's.</param>
    /// <exception cref="ModelNotAvailableException">The model was unloaded meanwhile, or its first load has failed.</exception>
    /// <exception cref="ModelReloadException">The reload has failed, which is the inner exception.</exception>
    /// <exception cref="ObjectDisposedException">The host has ended.</exception>
    Task<ModelReload> ReloadAsync(CancellationToken cancellationToken = default);

    /// <summary>
    /// Ends what is under way, and frees the model: as soon as the last lease is over. Waits for that for <see cref="HostedModelOptions.LeaseTimeout"/> at most. Does nothing where it is not loaded.
    /// </summary>
    /// <param name="cancellationToken">Ends the waiting; the model is freed all the same.</param>
    /// <exception cref="ObjectDisposedException">The host has ended.</exception>
    Task UnloadAsync(CancellationToken cancellationToken = default);
}
