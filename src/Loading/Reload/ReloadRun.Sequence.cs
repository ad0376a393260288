using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>Reloads from weights that come one by one.</content>
internal sealed partial class ReloadRun
{
    /// <summary>Takes weights from a sequence; a layer is loaded as soon as all of its elements are counted.</summary>
    public async Task LoadAsync(IAsyncEnumerable<Weight> weights, CancellationToken cancellationToken)
    {
        var modules = _layers.SelectMany(layer => layer.Modules).ToList();
        _loading.Enter(modules);
        using var record = new ModuleRecord(_model, LoadOptions, null);
        using var waiting = new WaitingWeights(_layers.Length);
        var layerOf = new Dictionary<Parameter, int>(ReferenceEqualityComparer.Instance);
        // Layers with numbers that mean something else with what may come beside them.
        var raw = new HashSet<int>();
        for (var i = 0; i < _layers.Length; i++)
        {
            foreach (var parameter in ParametersOf(i))
            {
                _ = layerOf.TryAdd(parameter, i);
            }
        }

        try
        {
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
                    if (weight.Components is not null || MayNeedScales(weight.DType, target.Parameter.DType))
                    {
                        _ = raw.Add(layer);
                    }

                    // What only a loader that sees the values knows to be filled may get more; it waits for the end.
                    if (!raw.Contains(layer) && FilledBy(record, layer).All(parameter => parameter.IsWritten))
                    {
                        await LoadWaitingAsync(layer).ConfigureAwait(false);
                    }
                }
            }

            record.ThrowIfCompanionsAreLeft();
            for (var i = 0; i < _layers.Length; i++)
            {
                if (_layers[i].Modules.Any(_loading.IsLoading) && !NoteMissing(i, FilledBy(record, i)))
                {
                    await LoadWaitingAsync(i).ConfigureAwait(false);
                }
            }
        }
        finally
        {
            (_excess, Skipped) = (_excess.AddRange(record.Unexpected), record.Skipped);
        }

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

    private IEnumerable<PlannedParameter> FilledBy(ModuleRecord record, int layer) => ParametersOf(layer).Select(parameter => record.ParameterAt(record.IndexOf(parameter)!.Value));

    // Floats of 8 bits and whole numbers are weights of their own, or what a scale belongs to. Blocks have theirs with them.
    private static bool MayNeedScales(DType stored, DType target) =>
        stored != target && !stored.IsBlock && stored is not (DType.F64 or DType.F32 or DType.F16 or DType.BF16);

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
}
