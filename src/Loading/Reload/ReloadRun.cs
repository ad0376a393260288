using System.Collections.Immutable;
using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>One reload: has weights loaded into tensors beside the live ones, processes them and copies them into the live ones. Not safe for several threads.</summary>
internal sealed partial class ReloadRun : IDisposable
{
    private const string Busy = "it was in use for too long";

    private readonly Module _model;
    private readonly DType _modelDType;
    private readonly ImmutableArray<LiveLayer> _layers;
    private readonly LoadingTensors _loading;
    private readonly Device? _target;
    private readonly ReloadOptions _options;
    private readonly (LayerOutcome Outcome, string? Reason)[] _outcomes;
    private readonly Dictionary<int, ProcessedLayer> _staged = [];
    private readonly long _started = Stopwatch.GetTimestamp();
    private ImmutableArray<string> _excess = [];
    private long _bytesRead;

    /// <summary>Begins.</summary>
    /// <param name="model">The model.</param>
    /// <param name="modelDType">The dtype that it computes with.</param>
    /// <param name="layers">Its layers.</param>
    /// <param name="captured">What weights are loaded into.</param>
    /// <param name="target">The device that quantisation methods work on; null for that of each layer's tensors.</param>
    /// <param name="options">What is wanted.</param>
    public ReloadRun(Module model, DType modelDType, ImmutableArray<LiveLayer> layers, CapturedModel captured, Device? target, ReloadOptions options)
    {
        (_model, _modelDType, _layers, _target, _options) = (model, modelDType, layers, target, options);
        _outcomes = new (LayerOutcome, string?)[layers.Length];
        Array.Fill(_outcomes, (LayerOutcome.NotReached, "the reload ended before it"));
        _loading = captured.MakeLoading();
    }

    /// <summary>Whether a layer has its new weights, or is torn.</summary>
    public bool HasChanged => Array.Exists(_outcomes, outcome => outcome.Outcome is LayerOutcome.New or LayerOutcome.Torn);

    private Device Device => _layers.Select(layer => layer.Device).FirstOrDefault(device => !device.IsHost) ?? _layers.Select(layer => layer.Device).FirstOrDefault() ?? HostDevice.Shared;

    private ModuleLoadOptions LoadOptions => new()
    {
        Load = _options.Load with { Device = Device },
        IsStrict = false,
        Rename = _options.Rename,
        GgufNames = _options.GgufNames,
        Warnings = _options.Warnings,
    };

    /// <summary>Loads a checkpoint layer by layer: what goes where is recorded of the whole model first.</summary>
    public async Task LoadAsync(Checkpoint checkpoint, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        RecordedModule recorded;
        _loading.Enter(_layers.SelectMany(layer => layer.Modules));
        try
        {
            recorded = ModulePlanner.Record(_model, checkpoint, LoadOptions, parameter => !_loading.IsLoaded(parameter), cancellationToken);
        }
        finally
        {
            _loading.Leave(_layers.SelectMany(layer => layer.Modules));
        }

        (_excess, Skipped) = (recorded.Unexpected, recorded.Skipped);
        var indices = recorded.Entries.Select((entry, i) => (entry.Parameter, i)).ToDictionary(entry => entry.Parameter, entry => entry.i);
        var plans = new ModulePlan?[_layers.Length];
        for (var i = 0; i < _layers.Length; i++)
        {
            ImmutableArray<int> own = [.. ParametersOf(i).Where(indices.ContainsKey).Select(parameter => indices[parameter])];
            if (!NoteMissing(i, own.Select(index => recorded.Parameters[index])))
            {
                plans[i] = recorded.PlanOf(own, _layers[i].Device);
            }
        }

        var total = new LayerProgress(progress, plans.OfType<ModulePlan>().Sum(plan => plan.Reads.BytesToRead), plans.OfType<ModulePlan>().Sum(plan => plan.Reads.Tensors.Length));
        for (var i = 0; i < _layers.Length; i++)
        {
            if (plans[i] is not { } plan)
            {
                continue;
            }

            await LoadLayerAsync(i, async () =>
            {
                var statistics = await new ModuleLoader().LoadAsync(plan, total.Next(plan.Reads.BytesToRead, plan.Reads.Tensors.Length), cancellationToken).ConfigureAwait(false);
                _bytesRead += statistics.BytesRead + plan.ValueBytes;
            }, cancellationToken).ConfigureAwait(false);
            plans[i] = null;
        }
    }

    /// <summary>Takes weights from a sequence; a layer is loaded as soon as all of its elements are counted.</summary>
    public async Task LoadAsync(IAsyncEnumerable<Weight> weights, CancellationToken cancellationToken)
    {
        var modules = _layers.SelectMany(layer => layer.Modules).ToList();
        _loading.Enter(modules);
        using var record = new ModuleRecord(_model, LoadOptions, null);
        using var waiting = new WaitingWeights(_layers.Length);
        var layerOf = new Dictionary<Parameter, int>(ReferenceEqualityComparer.Instance);
        for (var i = 0; i < _layers.Length; i++)
        {
            foreach (var parameter in ParametersOf(i))
            {
                _ = layerOf.TryAdd(parameter, i);
            }
        }

        await foreach (var weight in weights.WithCancellation(cancellationToken).ConfigureAwait(false))
        {
            using var held = WaitingWeights.Hold(weight);
            foreach (var target in record.Route(weight))
            {
                if (!layerOf.TryGetValue(target.Parameter, out var layer))
                {
                    // Its layer was complete before, and has its live tensors again.
                    _excess = _excess.Add(weight.Name);
                    continue;
                }

                if (ModuleLoader.IsTaken(weight, target, record))
                {
                    waiting.Add(layer, held, target);
                }

                record.ThrowIfWrong();
                var parameters = ParametersOf(layer).Select(parameter => record.ParameterAt(record.IndexOf(parameter)!.Value)).ToList();
                if (parameters.TrueForAll(parameter => parameter.IsFilled))
                {
                    await LoadWaitingAsync(layer).ConfigureAwait(false);
                }
            }
        }

        for (var i = 0; i < _layers.Length; i++)
        {
            if (Array.Exists(_layers[i].Modules.ToArray(), _loading.IsLoading) && !NoteMissing(i, ParametersOf(i).Select(parameter => record.ParameterAt(record.IndexOf(parameter)!.Value))))
            {
                await LoadWaitingAsync(i).ConfigureAwait(false);
            }
        }

        (_excess, Skipped) = (_excess.AddRange(record.Unexpected), record.Skipped);

        async Task LoadWaitingAsync(int layer)
        {
            foreach (var parameter in ParametersOf(layer))
            {
                _ = layerOf.Remove(parameter);
            }

            await LoadLayerAsync(layer, async () =>
            {
                await FillAsync(layer, waiting.Of(layer), record, cancellationToken).ConfigureAwait(false);
                waiting.Free(layer);
            }, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>With <see cref="ReloadOptions.AllOrNothing"/>: copies all layers into the live tensors, or none where one is not there or cannot be closed.</summary>
    public async Task SwapAsync(CancellationToken cancellationToken)
    {
        if (!_options.AllOrNothing)
        {
            return;
        }

        if (_staged.Count < _layers.Length)
        {
            Keep("another layer is not whole, and all change or none");
            return;
        }

        var closed = new List<IDisposable>();
        try
        {
            for (var i = 0; i < _layers.Length; i++)
            {
                if (_options.Gate is { } gate)
                {
                    if (await gate.CloseAsync(_layers[i].Layer, cancellationToken).ConfigureAwait(false) is not { } open)
                    {
                        Keep("another layer was in use, and all change or none");
                        _outcomes[i] = (LayerOutcome.Busy, Busy);
                        return;
                    }

                    closed.Add(open);
                }
            }

            cancellationToken.ThrowIfCancellationRequested();
            for (var i = 0; i < _layers.Length; i++)
            {
                Write(i, _staged[i]);
            }
        }
        finally
        {
            closed.ForEach(gate => gate.Dispose());
        }

        void Keep(string reason)
        {
            foreach (var i in _staged.Keys)
            {
                _outcomes[i] = (LayerOutcome.NotReached, reason);
            }
        }
    }

    /// <summary>What was done so far.</summary>
    public ReloadReport Report() => new()
    {
        Layers = [.. _layers.Select((layer, i) => new ReloadedLayer(layer.Layer, _outcomes[i].Outcome, _outcomes[i].Reason))],
        Unexpected = _excess,
        Skipped = Skipped,
        BytesRead = _bytesRead,
        Elapsed = Stopwatch.GetElapsedTime(_started),
    };

    /// <summary>Gives the modules their live tensors back, and frees all others.</summary>
    public void Dispose()
    {
        foreach (var staged in _staged.Values)
        {
            staged.Dispose();
        }

        _loading.Dispose();
    }

    private ImmutableArray<SkippedWeight> Skipped { get; set; } = [];

    // The parameters that weights are loaded into, each once.
    private IEnumerable<Parameter> ParametersOf(int layer) => _layers[layer].Modules
        .SelectMany(module => _loading.LoadingOf(module)?.Parameters.AsEnumerable() ?? [])
        .Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key))
        .Select(entry => entry.Value)
        .Distinct();

    private bool NoteMissing(int layer, IEnumerable<PlannedParameter> parameters)
    {
        // A few say which kind is missing.
        const int Shown = 3;
        string[] missing = [.. parameters.Where(parameter => parameter.IsMissing).Select(ModuleRecord.Describe)];
        if (missing.Length == 0)
        {
            return false;
        }

        _outcomes[layer] = (LayerOutcome.Incomplete, string.Join("; ", missing.Take(Shown)) + (missing.Length > Shown ? $"; and {missing.Length - Shown} more" : ""));
        return true;
    }

    private async Task FillAsync(int layer, IReadOnlyList<(Weight Weight, WeightTarget Target)> weights, ModuleRecord record, CancellationToken cancellationToken)
    {
        ImmutableArray<(string Name, Parameter Parameter)> parameters = [.. ParametersOf(layer).Select(parameter => (parameter.Name, parameter))];
        PlannedParameter[] filled = [.. parameters.Select(entry => record.ParameterAt(record.IndexOf(entry.Parameter)!.Value))];
        using var storage = new ParameterStorage(parameters, _layers[layer].Device, i => filled[i].HasStorage, cancellationToken);
        for (var i = 0; i < filled.Length; i++)
        {
            if (filled[i] is { HasStorage: true, IsWritten: false })
            {
                storage.Clear(i);
            }
        }

        foreach (var (weight, target) in weights)
        {
            await ModuleLoader.RunAsync(weight, target, storage, LoadOptions.Load, cancellationToken).ConfigureAwait(false);
        }

        storage.Give(i => filled[i].HasStorage);
    }

    private async Task LoadLayerAsync(int index, Func<Task> fill, CancellationToken cancellationToken)
    {
        var layer = _layers[index];
        var whole = false;
        _loading.Enter(layer.Modules);
        try
        {
            await fill().ConfigureAwait(false);
            CopyBuffers(layer);
            WeightProcessing.Run(layer.Modules, _modelDType, _target ?? layer.Device, cancellationToken);
            whole = true;
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            _outcomes[index] = (LayerOutcome.Failed, exception.Message);
            throw;
        }
        finally
        {
            _loading.Leave(layer.Modules);
            if (!whole)
            {
                _loading.Free(layer.Modules);
            }
        }

        try
        {
            var processed = ProcessedLayer.Of(layer, _loading, out var problem);
            if (problem is not null)
            {
                _outcomes[index] = (LayerOutcome.Failed, problem);
                return;
            }

            await TakeAsync(index, processed, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _loading.Free(layer.Modules);
        }
    }

    // With all or nothing what is new waits on the host, which holds it until all is there.
    private async Task TakeAsync(int index, ProcessedLayer processed, CancellationToken cancellationToken)
    {
        try
        {
            if (_options.AllOrNothing)
            {
                processed.BringToHost();
                _staged.Add(index, processed);
            }
            else
            {
                await WriteAsync(index, processed, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            if (!_staged.ContainsKey(index))
            {
                processed.Dispose();
            }
        }
    }

    private async Task WriteAsync(int index, ProcessedLayer processed, CancellationToken cancellationToken)
    {
        if (_options.Gate is not { } gate)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Write(index, processed);
        }
        else if (await gate.CloseAsync(_layers[index].Layer, cancellationToken).ConfigureAwait(false) is { } open)
        {
            using (open)
            {
                Write(index, processed);
            }
        }
        else
        {
            _outcomes[index] = (LayerOutcome.Busy, Busy);
        }
    }

    // Begun is ended: half of it is what must never be.
    private void Write(int index, ProcessedLayer processed)
    {
        _options.Gate?.BeginCopy(_layers[index].Layer);
        try
        {
            processed.Write();
        }
        catch (Exception exception)
        {
            _outcomes[index] = (LayerOutcome.Torn, $"its memory could not be written: {exception.Message}");
            throw;
        }

        _outcomes[index] = (LayerOutcome.New, null);
        _options.Gate?.EndCopy(_layers[index].Layer);
    }

    // Methods may use what a module has beside its weights, and change it.
    private void CopyBuffers(LiveLayer layer)
    {
        foreach (var module in layer.Modules)
        {
            if (_loading.LoadingOf(module) is not { } loading)
            {
                continue;
            }

            var live = _loading.LiveOf(module);
            foreach (var (name, buffer) in loading.Buffers.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key)).ToList())
            {
                if (live.Buffers.TryGetValue(name, out var values) && values.Device.Kind != DeviceKind.Meta && values.DType == buffer.DType && values.Shape == buffer.Shape)
                {
                    loading.Buffers[name] = MetaTensors.Materialize(buffer, values.Device);
                    buffer.Dispose();
                    loading.Buffers[name].CopyFrom(values);
                }
            }
        }
    }
}
