using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Replaces the weights of a live model without a restart: new weights go through the same loaders and quantisation methods, layer by layer, and are copied into the memory that the live tensors
/// have, so that addresses never change. Beside the live model, one layer and staging are in memory at a time: the layer as it is loaded and, where methods process it, what they make of it.
/// </summary>
/// <remarks>
/// The order is: make the model on the meta device, <see cref="Capture"/>, load and process it (<see cref="ModuleLoader"/>, <see cref="WeightProcessing"/>), <see cref="Attach"/>, then reload as often
/// as wanted. During a reload modules have other tensors for a while; who uses the model meanwhile takes them from <see cref="Layers"/>, with an <see cref="ILayerGate"/>. One reload at a
/// time; not safe for several threads beside that. The model stays the caller's, and is disposed after this.
/// </remarks>
public sealed class ModelReloader : IDisposable
{
    private readonly Module _model;
    private readonly DType _modelDType;
    private readonly TensorParallel _parallel;
    private readonly CapturedModel _captured;
    private ImmutableArray<LiveLayer> _layers;
    private Device? _target;
    private int _isReloading;

    private ModelReloader(Module model, DType modelDType, TensorParallel parallel, CapturedModel captured) =>
        (_model, _modelDType, _parallel, _captured) = (model, modelDType, parallel, captured);

    /// <summary>The layers in the order of the model.</summary>
    /// <exception cref="InvalidOperationException"><see cref="Attach"/> was not called yet.</exception>
    public IReadOnlyList<ModelLayer> Layers =>
        [.. (_layers.IsDefault ? throw new InvalidOperationException($"The layers are known after the first load: call {nameof(Attach)} then.") : _layers).Select(layer => layer.Layer)];

    /// <summary>Remembers how weights are loaded into a model: dtypes, shapes, strides, loaders and attributes of its tensors, without storage.</summary>
    /// <param name="model">The model, just made, whose parameters are on the meta device; stays the caller's.</param>
    /// <param name="modelDType">The dtype that it computes with.</param>
    /// <param name="parallel">Which rank of how many it is, whose state is reloaded; null for one alone.</param>
    /// <exception cref="ArgumentException">There is no such rank.</exception>
    /// <exception cref="InvalidOperationException">A parameter has storage already.</exception>
    public static ModelReloader Capture(Module model, DType modelDType, TensorParallel? parallel = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        parallel ??= new TensorParallel(1, 0);
        parallel.Validate(nameof(parallel));
        return model.NamedParameters().FirstOrDefault(entry => !entry.Parameter.IsMeta) is { Parameter: not null } loaded
            ? throw new InvalidOperationException($"Parameter {loaded.Name} has storage already: a model is captured before its first load, since processing it may make others of its parameters.")
            : new ModelReloader(model, modelDType, parallel, CapturedModel.Of(model));
    }

    /// <summary>Finds the live tensors after the first load and its processing. They are written in place from now on, and must not be replaced.</summary>
    /// <param name="target">The device that quantisation methods work on; null for that of each layer's tensors.</param>
    /// <returns>The layers in the order of the model.</returns>
    /// <exception cref="InvalidOperationException">A parameter that is needed has no storage or can only be read, the tensors of a layer are on several devices, or this was called before.</exception>
    public IReadOnlyList<ModelLayer> Attach(Device? target = null)
    {
        if (!_layers.IsDefault)
        {
            // Others may know the layers, and a reload may have other tensors in the modules now.
            throw new InvalidOperationException("The live tensors are known already: they keep their memory as long as the model lives.");
        }

        _layers = LiveLayers.Find(_model, _captured);
        _target = target;
        return Layers;
    }

    /// <summary>Loads the weights of a checkpoint into the live model.</summary>
    /// <param name="checkpoint">The checkpoint, which stays open and the caller's.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="progress">Counts bytes and pieces over all layers. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reload within the time of one slot, or with the copy of a layer, which is never left half done.</param>
    /// <returns>
    /// What was done with each layer. Layers whose weights are missing or are made other tensors than the live ones, and those that the gate could not close, keep their old weights; so do all of
    /// them with <see cref="ReloadOptions.AllOrNothing"/>.
    /// </returns>
    /// <exception cref="ArgumentException">An option is none that is possible here.</exception>
    /// <exception cref="InvalidOperationException">Another reload is under way, or <see cref="Attach"/> was not called yet.</exception>
    /// <exception cref="ReloadFailedException">Weights do not fit (<see cref="ModelMismatchException"/>), a read, a method or the device failed; it says which layers are new.</exception>
    /// <exception cref="ReloadCanceledException">It was cancelled; it says which layers are new.</exception>
    public Task<ReloadReport> ReloadAsync(
        Checkpoint checkpoint, ReloadOptions? options = null, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return RunAsync(options, run => run.LoadAsync(checkpoint, progress, cancellationToken), cancellationToken);
    }

    /// <summary>
    /// Takes weights from a sequence, as the iterators give them. A layer is loaded when its elements are counted; until then its lazy weights wait unread, and others with their values, so that
    /// memory is bounded where weights come layer by layer. What may get more waits for the end: a layer with optional parameters that nothing has filled, with weights of several tensors or loaders that
    /// look at values, and with floats of 8 bits or whole numbers that become another dtype, whose scales may come later.
    /// </summary>
    /// <param name="weights">The weights; each is disposed when its layer is loaded.</param>
    /// <param name="options">How; null for the defaults.</param>
    /// <param name="cancellationToken">Ends the reload between two weights, and the sequence as soon as it ends.</param>
    /// <inheritdoc cref="ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)" path="/returns"/>
    /// <inheritdoc cref="ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)" path="/exception"/>
    public Task<ReloadReport> ReloadAsync(IAsyncEnumerable<Weight> weights, ReloadOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(weights);
        return RunAsync(options, run => run.LoadAsync(weights, cancellationToken), cancellationToken);
    }

    /// <summary>
    /// Loads what a rank has saved into the live model, layer by layer: tensors as they are in memory, without loaders and methods. A state of another rank or number of ranks, of other quantisation methods, or
    /// saved at another step (before or after processing) is refused before anything changes.
    /// </summary>
    /// <param name="state">The opened state, which stays open and the caller's.</param>
    /// <param name="options">How; null for the defaults. What changes names is not looked at.</param>
    /// <param name="verify">Whether each tensor's SHA-256 is held against the folder's manifests.</param>
    /// <param name="progress">Counts bytes and tensors over all layers. Called from the lanes' threads, in order; must return soon.</param>
    /// <param name="cancellationToken">Ends the reload within the time of one slot, or with the copy of a layer, which is never left half done.</param>
    /// <inheritdoc cref="ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)" path="/returns"/>
    /// <inheritdoc cref="ReloadAsync(Checkpoint, ReloadOptions?, IProgress{LoadProgress}?, CancellationToken)" path="/exception"/>
    public Task<ReloadReport> ReloadAsync(
        ShardedState state, ReloadOptions? options = null, bool verify = true, IProgress<LoadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(state);
        return RunAsync(options, run => run.LoadAsync(state, _parallel, verify, progress, cancellationToken), cancellationToken);
    }

    /// <summary>Frees what was captured. The model and its tensors stay the caller's.</summary>
    public void Dispose() => _captured.Dispose();

    private async Task<ReloadReport> RunAsync(ReloadOptions? options, Func<ReloadRun, Task> load, CancellationToken cancellationToken)
    {
        _ = Layers;
        options ??= ReloadOptions.Default;
        ModulePlanner.CheckOptions(new ModuleLoadOptions { Load = options.Load with { Device = HostDevice.Shared } });
        if (Interlocked.Exchange(ref _isReloading, 1) != 0)
        {
            throw new InvalidOperationException("The model is being reloaded already: one reload at a time.");
        }

        try
        {
            // Layers are mostly alike: on the host the pages of one, and of its staging, are those of the next, which else takes them anew from the system. No more than a layer
            // and its staging, which are there anyhow while a layer is loaded.
            using var kept = _layers.Select(layer => layer.Device).OfType<HostDevice>().FirstOrDefault()
                ?.KeepMeanwhile(checked(_layers.Max(layer => layer.Layer.ByteLength) + options.Load.StagingBytes));
            using var run = new ReloadRun(_model, _modelDType, _layers, _captured, _target, options);
            try
            {
                await load(run).ConfigureAwait(false);
                await run.SwapAsync(cancellationToken).ConfigureAwait(false);
                return run.Report();
            }
            catch (OperationCanceledException exception) when (cancellationToken.IsCancellationRequested)
            {
                var report = run.Report();
                throw new ReloadCanceledException($"The reload was cancelled; {Describe(report)}.", report, exception, cancellationToken);
            }
            catch (Exception exception) when (!ReloadRun.IsAboutOptions(exception))
            {
                var report = run.Report();
                throw new ReloadFailedException($"The reload failed: {exception.Message} {char.ToUpperInvariant(Describe(report)[0])}{Describe(report)[1..]}.", report, exception);
            }
        }
        finally
        {
            Volatile.Write(ref _isReloading, 0);
        }
    }

    // Names of layers in a message: enough to see how far it came.
    private static string Describe(ReloadReport report)
    {
        const int Shown = 8;
        string[] layers = [.. report.NewLayers.Select(name => name.Length == 0 ? "the model" : Quoted.Name(name))];
        var text = layers.Length == 0
            ? "no layer is new"
            : $"{layers.Length} of {report.Layers.Length} layers are new: {string.Join(", ", layers.Take(Shown))}{(layers.Length > Shown ? $" and {layers.Length - Shown} more" : "")}";
        string[] torn = [.. report.Layers.Where(layer => layer.Outcome == LayerOutcome.Torn).Select(layer => Quoted.Name(layer.Layer.Name))];
        return torn.Length == 0 ? text : $"{text}; what {string.Join(", ", torn)} has now is not known";
    }
}
