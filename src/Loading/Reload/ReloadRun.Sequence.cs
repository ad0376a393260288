using System.Collections.Immutable;

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
