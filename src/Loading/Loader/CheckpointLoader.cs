using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Brings the tensors of a checkpoint onto a device: plan, then load as one model or stream tensor by tensor. Without
/// state; safe for any thread, several loads may run at the same time.
/// </summary>
[SuppressMessage("Performance", "CA1822:Mark members as static", Justification = "An instance is what services register and tests replace.")]
public sealed class CheckpointLoader
{
    /// <summary>Plans a load: pure data, nothing is read or allocated.</summary>
    /// <param name="checkpoint">The opened checkpoint; keep it open as long as the plan is used.</param>
    /// <param name="options">What to load and where to; null for everything, as it is, to the host.</param>
    /// <exception cref="ArgumentException">An option is out of range.</exception>
    /// <exception cref="UnsupportedCheckpointException">A tensor cannot be brought to the dtype that is asked for.</exception>
    public LoadPlan Plan(Checkpoint checkpoint, LoadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return LoadPlanner.Plan(checkpoint, options ?? LoadOptions.Default);
    }

    /// <summary>Loads all tensors of a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="progress">Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot; everything is freed.</param>
    /// <returns>The model, which the caller disposes.</returns>
    /// <exception cref="DeviceMemoryException">Host or device cannot hold it; nothing was read.</exception>
    /// <exception cref="CheckpointException">A file is not what it was when it was opened.</exception>
    /// <exception cref="IOException">A read failed; the message names tensor, file and offset.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public async Task<LoadedModel> LoadAsync(
        LoadPlan plan, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(plan);
        plan.ThrowIfTooLarge(plan.AllocatedBytes);
        using var files = new MappedFiles(plan);
        var destinations = ModelDestinations.Allocate(plan, files, cancellationToken);
        try
        {
            var session = new LoadSession(plan, destinations, files, progress);
            await session.RunAsync(cancellationToken).ConfigureAwait(false);
            destinations.ReleaseBlocks();
            return new LoadedModel(plan, destinations.Tensors, session.Statistics);
        }
        catch
        {
            destinations.Free();
            throw;
        }
    }

    /// <summary>
    /// Loads a plan again into the memory of a model that an equal plan has loaded. Nobody may use the tensors
    /// meanwhile; after a failure their content is undefined.
    /// </summary>
    /// <returns>What was done and how long it took.</returns>
    /// <exception cref="ArgumentException">The model was not loaded by an equal plan.</exception>
    /// <exception cref="InvalidOperationException">
    /// Tensors of the plan or of the model are views of mapped files (<see cref="ReadMode.Mapped"/>): there is no memory to load into.
    /// </exception>
    /// <inheritdoc cref="LoadAsync"/>
    /// <param name="plan">The plan.</param>
    /// <param name="model">The model; stays the caller's.</param>
    /// <param name="progress">Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot.</param>
    public async Task<LoadStatistics> LoadIntoAsync(
        LoadPlan plan, LoadedModel model, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(model);
        var destinations = ModelDestinations.Reuse(plan, model);
        try
        {
            using var files = new MappedFiles(plan);
            var session = new LoadSession(plan, destinations, files, progress);
            await session.RunAsync(cancellationToken).ConfigureAwait(false);
            return session.Statistics;
        }
        finally
        {
            destinations.ReleaseBlocks();
        }
    }

    /// <summary>
    /// Streams the tensors of a plan in the order in which they arrive. Each belongs to the caller, who disposes it; at
    /// most <see cref="LoadOptions.StreamWindowBytes"/> wait to be taken. Leaving the loop early ends the load.
    /// </summary>
    /// <inheritdoc cref="LoadAsync"/>
    public async IAsyncEnumerable<LoadedTensor> StreamAsync(
        LoadPlan plan,
        IProgress<LoadProgress>? progress = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var largest = plan.Tensors.Select(plan.MemoryOf).DefaultIfEmpty().Max();
        plan.ThrowIfTooLarge(Math.Min(plan.DestinationBytes, Math.Max(largest, plan.Options.StreamWindowBytes)));
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var files = new MappedFiles(plan);
        using var destinations = new StreamDestinations(plan, files);
        var loading = RunAsync(new LoadSession(plan, destinations, files, progress), destinations, stop.Token);
        try
        {
            await foreach (var tensor in destinations.Completed.ReadAllAsync(cancellationToken).ConfigureAwait(false))
            {
                if (plan.Tensors[tensor].IsMapped)
                {
                    // It may have waited for long.
                    await MappedFiles.EnsureUnchangedAsync(plan.Destination(plan.DestinationOf(tensor)), cancellationToken).ConfigureAwait(false);
                }

                yield return new LoadedTensor(plan.Tensors[tensor].Name, destinations.HandOver(tensor));
            }
        }
        finally
        {
            // The lanes have ended before their tensors are freed, also when the caller leaves in the middle.
            await stop.CancelAsync().ConfigureAwait(false);
            await loading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await loading.ConfigureAwait(false);
    }

    /// <summary>Reads pieces into memories that are there; those without a place are handed on one by one, and freed then.</summary>
    /// <param name="plan">The plan (<see cref="LoadPlanner.PlanPieces"/>).</param>
    /// <param name="memories">The memories that places are in; they stay the caller's, and after a failure their content is undefined.</param>
    /// <param name="windowBytes">The most bytes that pieces without a place take at a time; a single larger one still passes.</param>
    /// <param name="handOn">Called with a piece's index in the plan and what was read of it; several threads call it side by side.</param>
    /// <param name="progress">Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot.</param>
    /// <inheritdoc cref="LoadAsync" path="/exception"/>
    internal static async Task<LoadStatistics> LoadPiecesAsync(
        LoadPlan plan,
        IReadOnlyList<DeviceMemory> memories,
        long windowBytes,
        Action<int, Tensor> handOn,
        IProgress<LoadProgress>? progress,
        CancellationToken cancellationToken)
    {
        using var files = new MappedFiles(plan);
        using var destinations = new PieceDestinations(plan, memories, windowBytes, handOn);
        var session = new LoadSession(plan, destinations, files, progress);
        await session.RunAsync(cancellationToken).ConfigureAwait(false);
        return session.Statistics;
    }

    private static async Task RunAsync(LoadSession session, StreamDestinations destinations, CancellationToken cancellationToken)
    {
        try
        {
            await session.RunAsync(cancellationToken).ConfigureAwait(false);
            destinations.End(null);
        }
        catch (Exception exception)
        {
            destinations.End(exception);
            throw;
        }
    }
}
