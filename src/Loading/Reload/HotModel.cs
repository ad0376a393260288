using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Runtime.ExceptionServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A live model whose weights are replaced while others read it. A reader leases a layer, or all of them; a reload waits for the readers of the layer that it is about to write, and for no
/// others, and new readers of that layer wait until it is written. Owns the model and its reloader. Safe for any thread.
/// </summary>
/// <remarks>
/// <para>No lease ever sees two versions in one layer. Two leases, one after the other, may see different ones, in one layer and across layers: who needs one version of all layers takes
/// <see cref="LeaseModelAsync"/>.</para>
/// <para>Leases may be taken while others are held, by the same reader too. While no reload runs, none of them waits. While one runs, a reader that holds a lease and waits for another may wait
/// for the reload that waits for it; then the reload gives in after <see cref="HotModelOptions.LeaseTimeout"/>, leaves that layer its old weights and reports it
/// (<see cref="LayerOutcome.Busy"/>), and the reader goes on. A reader that takes one lease at a time never causes that. A reader that holds <see cref="LeaseModelAsync"/> may take
/// layers' leases freely: no layer is closed as long as it holds that one.</para>
/// <para>A reload waits for leases over all layers only once, before its first copy; those that come later wait until it has ended.</para>
/// <para>Nobody else walks the module while the model is live: a reload has other tensors in it for a while, and closes no gate for that. Readers take tensors from their leases, and
/// <see cref="SaveAsync"/> saves the module.</para>
/// <para>With an infinite timeout nothing resolves such a circle but a cancellation.</para>
/// </remarks>
public sealed partial class HotModel : IAsyncDisposable
{
    /// <summary>The version of a model that was never reloaded.</summary>
    public const long FirstVersion = 1;

    private readonly Module _model;
    private readonly ReloadCall _reload;
    private readonly ReloadStateCall _reloadState;
    private readonly ImmutableArray<IDisposable> _owned;
    private readonly FrozenDictionary<ModelLayer, HotLayer> _layers;
    private readonly ImmutableArray<HotLayer> _ordered;
    private readonly LayerGate _whole;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;
    private readonly HotModelOptions _options;
    private readonly CancellationTokenSource _ended = new();
    private readonly SemaphoreSlim _one = new(1);
    private readonly Lock _lock = new();
    private Task<Task>? _ending;
    private long _version = FirstVersion;
    private int _disposed;

    /// <summary>Takes a loaded model over.</summary>
    /// <param name="model">The model, loaded and processed; it is this one's from now on.</param>
    /// <param name="reloader">Its reloader, attached (<see cref="ModelReloader.Attach"/>); it is this one's from now on.</param>
    /// <param name="options">How readers are treated; null for the defaults.</param>
    /// <exception cref="InvalidOperationException">The reloader is not attached.</exception>
    public HotModel(Module model, ModelReloader reloader, HotModelOptions? options = null)
        : this(model, LayersOf(model, reloader), reloader.ReloadAsync, reloader.ReloadAsync, [reloader, model], options)
    {
    }

    /// <summary>A model over any way to reload it.</summary>
    /// <param name="model">What is saved.</param>
    /// <param name="layers">The layers.</param>
    /// <param name="reload">What replaces their weights by a checkpoint's, one call at a time.</param>
    /// <param name="reloadState">What replaces them by what a rank has saved.</param>
    /// <param name="owned">What is disposed with the model, in this order.</param>
    /// <param name="options">How readers are treated; null for the defaults.</param>
    internal HotModel(Module model, IEnumerable<ModelLayer> layers, ReloadCall reload, ReloadStateCall reloadState, IEnumerable<IDisposable> owned, HotModelOptions? options)
    {
        options ??= HotModelOptions.Default;
        (_model, _reload, _reloadState, _owned) = (model, reload, reloadState, [.. owned]);
        (_timeout, _time, _options) = (options.LeaseTimeout, options.TimeProvider, options);
        _ordered = [.. layers.Select(layer => new HotLayer(layer, _time))];
        _layers = _ordered.ToFrozenDictionary(layer => layer.Layer);
        _whole = new LayerGate(_time);
        Layers = [.. _ordered.Select(layer => layer.Layer)];
        Names = new HotLayerNames(_ordered);
    }

    internal delegate Task<ReloadReport> ReloadCall(Checkpoint checkpoint, ReloadOptions options, IProgress<LoadProgress>? progress, CancellationToken cancellationToken);

    internal delegate Task<ReloadReport> ReloadStateCall(ShardedState state, ReloadOptions options, bool verify, IProgress<LoadProgress>? progress, CancellationToken cancellationToken);

    /// <summary>The layers in the order of the model.</summary>
    public IReadOnlyList<ModelLayer> Layers { get; }

    /// <summary>Counts the reloads that changed a layer, beginning with <see cref="FirstVersion"/>; that of the layer changed last.</summary>
    public long Version => Volatile.Read(ref _version);

    internal HotLayerNames Names { get; }

    /// <summary>The version whose weights a layer has: less than <see cref="Version"/> where a reload left it its old ones.</summary>
    /// <param name="layer">A name, as for <see cref="LeaseAsync"/>.</param>
    /// <exception cref="LayerNotFoundException">There is no such layer.</exception>
    public long VersionOf(string layer) => Names.Get(layer).Version;

    /// <summary>Leases a layer: no reload writes it until the lease is over. At once, unless a reload is about to write this very layer.</summary>
    /// <param name="layer">The full name of a layer, or of a module or tensor in it (<c>model.layers.0.self_attn.q_proj</c>).</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="LayerNotFoundException">There is no such layer; the exception has the nearest names.</exception>
    /// <exception cref="InvalidOperationException">The device failed while a reload wrote the layer, and none has succeeded since.</exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public ValueTask<LayerLease> LeaseAsync(string layer, CancellationToken cancellationToken = default)
    {
        var hot = Names.Get(layer);
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        var entered = hot.Gate.EnterAsync(cancellationToken);
        return entered.IsCompletedSuccessfully ? new ValueTask<LayerLease>(Lease(hot)) : WaitAsync(this, hot, entered);

        static async ValueTask<LayerLease> WaitAsync(HotModel model, HotLayer layer, ValueTask entered)
        {
            await entered.ConfigureAwait(false);
            return model.Lease(layer);
        }
    }

    /// <summary>Leases all layers, which have one version: no reload writes any of them until the lease is over. At once, unless a reload has begun to write: then when it has ended.</summary>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="InvalidOperationException">
    /// Layers have different versions, because a reload left some their old weights, or the device failed while one was written. The message names them; a later reload of all makes it possible again.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The model is disposed.</exception>
    public async ValueTask<ModelLease> LeaseModelAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        await _whole.EnterAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            CheckOneVersion();
            return new ModelLease(this, _whole, Version);
        }
        catch
        {
            _whole.Leave();
            throw;
        }
    }

    /// <summary>
    /// Ends the model: watching ends, a running reload is cancelled, new leases are refused. Waits for readers for <see cref="HotModelOptions.LeaseTimeout"/> at most, then frees the model; where
    /// one of them has not ended its lease by then, it is freed as soon as the last has, so that nobody reads memory that is somebody else's.
    /// </summary>
    /// <remarks>
    /// Safe to call again, also at the same time: each call waits for the same end, for the same time at most. What a reader's fence or the freeing throws, each call throws that sees the end; the model is freed all the same.
    /// Where readers may take longer, a later call shows whether it is freed.
    /// </remarks>
    public async ValueTask DisposeAsync()
    {
        Task<Task> ending;
        lock (_lock)
        {
            ending = _ending ??= EndAsync();
        }

        var freeing = await ending.ConfigureAwait(false);
        try
        {
            await freeing.WaitAsync(_timeout, _time).ConfigureAwait(false);
        }
        catch (TimeoutException) when (!freeing.IsCompleted)
        {
            // Freed by the last reader.
        }
    }

    private static IReadOnlyList<ModelLayer> LayersOf(Module model, ModelReloader reloader)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(reloader);
        return reloader.Layers;
    }

    private bool IsDisposed => Volatile.Read(ref _disposed) != 0;

    // Ends when no reload runs any more, with the task that ends when the model is freed.
    private async Task<Task> EndAsync()
    {
        Volatile.Write(ref _disposed, 1);
        await _ended.CancelAsync().ConfigureAwait(false);
        // Never given back: a reload that waits for its turn finds the model ended.
        await _one.WaitAsync(CancellationToken.None).ConfigureAwait(false);
        return FreeAsync();
    }

    private async Task FreeAsync()
    {
        try
        {
            await Task.WhenAll(_ordered.Select(layer => layer.Gate).Append(_whole).Select(EmptyAsync)).ConfigureAwait(false);
        }
        finally
        {
            foreach (var owned in _owned)
            {
                owned.Dispose();
            }
        }

        // Opened again at once: leases that waited go in, find the model ended and leave. Where a fence has failed the others are waited for, before it is said.
        static async Task EmptyAsync(LayerGate gate)
        {
            Exception? failure = null;
            while (true)
            {
                try
                {
                    using var closure = await gate.CloseAsync(Timeout.InfiniteTimeSpan, CancellationToken.None).ConfigureAwait(false);
                    break;
                }
                catch (Exception exception)
                {
                    failure ??= exception;
                }
            }

            if (failure is not null)
            {
                ExceptionDispatchInfo.Throw(failure);
            }
        }
    }

    private LayerLease Lease(HotLayer layer)
    {
        if (IsDisposed || layer.IsTorn)
        {
            layer.Gate.Leave();
            ObjectDisposedException.ThrowIf(IsDisposed, this);
            throw new InvalidOperationException($"Nobody knows what layer {Describe(layer)} has: the device failed while a reload wrote it. It can be leased when a later reload of it has succeeded.");
        }

        return new LayerLease(layer);
    }

    private void CheckOneVersion()
    {
        var torn = _ordered.Where(layer => layer.IsTorn).ToArray();
        if (torn.Length > 0)
        {
            throw new InvalidOperationException(
                $"Nobody knows what {DescribeAll(torn)} of the model have: the device failed while a reload wrote them. All layers can be leased when a later reload of them has succeeded.");
        }

        // Without layers there is nothing that could differ.
        var versions = _ordered.GroupBy(layer => layer.Version).OrderBy(version => version.Key).ToArray();
        if (versions.Length > 1)
        {
            throw new InvalidOperationException(
                $"The layers of the model have different versions: {string.Join("; ", versions.Select(version => $"{DescribeAll([.. version])} version {version.Key}"))}. "
                + "A reload left some their old weights; reload all of them, or lease layer by layer.");
        }
    }

    private static string DescribeAll(HotLayer[] layers)
    {
        // Enough to see which they are.
        const int shown = 8;
        return $"{(layers.Length == 1 ? "layer" : "layers")} {string.Join(", ", layers.Take(shown).Select(Describe))}{(layers.Length > shown ? $" and {layers.Length - shown} more" : "")}";
    }

    private static string Describe(HotLayer layer) => Quoted.Name(layer.Layer.ToString());
}
