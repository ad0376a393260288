using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

// What a rank has saved.
internal sealed partial class ReloadRun
{
    /// <summary>Loads the tensors that a rank has saved as they are in memory, layer by layer.</summary>
    public async Task LoadAsync(ShardedState state, bool verify, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var reads = _layers.Select(layer => ReadsOf(layer.Layer, state)).ToArray();
        _excess = ExcessOf(state);
        var total = new LayerProgress(progress, reads.Sum(read => read.Bytes), reads.Sum(read => read.Tensors));
        for (var i = 0; i < _layers.Length; i++)
        {
            var layer = _layers[i];
            if (Problem(layer.Layer, state) is var (outcome, reason))
            {
                _outcomes[i] = (outcome, reason);
                continue;
            }

            var options = new ShardedStateLoadOptions { Load = _options.Load with { Device = layer.Device }, Verify = verify };
            try
            {
                using var tensors = await state
                    .LoadTensorsAsync([.. SavedNames(layer.Layer)], options, total.Next(reads[i].Bytes, reads[i].Tensors), cancellationToken).ConfigureAwait(false);
                _bytesRead += reads[i].Bytes;
                await TakeAsync(i, ProcessedLayer.Of(layer, tensors), cancellationToken).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is not OperationCanceledException && _outcomes[i].Outcome == LayerOutcome.NotReached)
            {
                _outcomes[i] = (LayerOutcome.Failed, exception.Message);
                throw;
            }
        }
    }

    // Empty tensors are not saved.
    private static IEnumerable<string> SavedNames(ModelLayer layer) => layer.Tensors.Where(entry => entry.Value.ElementCount > 0).Select(entry => entry.Key);

    // What several names share is read once, under the name that the files have it under.
    private static (long Bytes, int Tensors) ReadsOf(ModelLayer layer, ShardedState state)
    {
        ShardedTensor[] stored = [.. SavedNames(layer).Select(state.Find).OfType<ShardedTensor>().Select(tensor => state.Find(tensor.StoredIn)!).Distinct()];
        return (stored.Sum(tensor => tensor.DType.ByteCount(tensor.Shape.ElementCount)), stored.Length);
    }

    // A module that is registered at several places has its tensors in its layer under one name, and in the state under all.
    private ImmutableArray<string> ExcessOf(ShardedState state)
    {
        var names = new Dictionary<Tensor, string>(ReferenceEqualityComparer.Instance);
        foreach (var (name, tensor) in _layers.SelectMany(layer => layer.Layer.Tensors))
        {
            _ = names.TryAdd(tensor, name);
        }

        var live = _model.NamedState().ToDictionary(entry => entry.Name, entry => entry.Tensor, StringComparer.Ordinal);
        return [.. state.Tensors.Where(saved => !IsInLayer(saved.Name) && !IsFurtherName(saved)).Select(saved => saved.Name)];

        bool IsInLayer(string name) => _layers.Any(layer => layer.Layer.Tensors.ContainsKey(name));

        bool IsFurtherName(ShardedTensor saved) =>
            live.TryGetValue(saved.Name, out var tensor) && names.TryGetValue(tensor, out var name) && state.Find(name)?.StoredIn == saved.StoredIn;
    }

    private static (LayerOutcome Outcome, string Reason)? Problem(ModelLayer layer, ShardedState state)
    {
        const int Shown = 3;
        string[] missing = [.. SavedNames(layer).Where(name => state.Find(name) is null).Order(StringComparer.Ordinal).Select(Quoted.Name)];
        if (missing.Length > 0)
        {
            return (LayerOutcome.Incomplete, $"the state has no {string.Join(", ", missing.Take(Shown))}{(missing.Length > Shown ? $" and {missing.Length - Shown} more" : "")}");
        }

        foreach (var name in SavedNames(layer))
        {
            var (live, saved) = (layer.Tensors[name], state.Find(name)!);
            if (saved.DType != live.DType || saved.Shape != live.Shape)
            {
                return (LayerOutcome.Failed, $"{Quoted.Name(name)} is {live.DType.Name} {live.Shape} in the live layer and {saved.DType.Name} {saved.Shape} in the state");
            }
        }

        return null;
    }
}
