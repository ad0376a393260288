using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <content>Reloads of what a rank has saved.</content>
internal sealed partial class ReloadRun
{
    /// <summary>Loads the tensors that a rank has saved as they are in memory, layer by layer.</summary>
    /// <exception cref="InvalidCheckpointException">Another number of ranks has saved it.</exception>
    /// <exception cref="ModelMismatchException">It is another rank's, or of other methods, or saved at another step.</exception>
    public async Task LoadAsync(ShardedState state, TensorParallel parallel, bool verify, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        ThrowIfOther(state, parallel);
        var reads = _layers.Select(layer => ReadsOf(layer.Layer, state)).ToArray();
        _excess = ExcessOf(state);
        var total = new LayerProgress(progress, reads.Sum(read => read.Bytes), reads.Sum(read => read.Tensors));
        for (var i = 0; i < _layers.Length; i++)
        {
            var layer = _layers[i];
            if (Problem(layer.Layer, state, _excess) is var (outcome, reason))
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
                var processed = ProcessedLayer.Of(layer, tensors, out var problem);
                if (problem is not null)
                {
                    _outcomes[i] = (LayerOutcome.Failed, problem);
                    continue;
                }

                await TakeAsync(i, processed, cancellationToken).ConfigureAwait(false);
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

    private void ThrowIfOther(ShardedState state, TensorParallel parallel)
    {
        if (state.WorldSize is { } world && world != parallel.WorldSize)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.WorldSizeMismatch,
                state.Folder,
                string.Create(CultureInfo.InvariantCulture, $"the state was saved by {world} ranks, and the live model is one of {parallel.WorldSize} (of {nameof(ModelReloader)}.{nameof(ModelReloader.Capture)})."));
        }

        var problems = new List<string>();
        if (state.Rank != parallel.Rank)
        {
            problems.Add(string.Create(CultureInfo.InvariantCulture, $"the state is rank {state.Rank}'s, and the live model is rank {parallel.Rank}"));
        }

        var methods = ModelState.Of(_model).Methods;
        if (state.Methods is { } saved)
        {
            problems.AddRange(
                saved.Keys.Union(methods.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal)
                    .Where(name => saved.GetValueOrDefault(name) != methods.GetValueOrDefault(name))
                    .Select(name => $"module {Quoted.Name(name)} was saved with the quantisation method {Quoted.Name(saved.GetValueOrDefault(name) ?? "none")} and has {Quoted.Name(methods.GetValueOrDefault(name) ?? "none")}"));
            if (state.ProcessedFor is null && methods.Count > 0)
            {
                problems.Add("the state was saved before quantisation methods had processed the weights, and the live model's are processed");
            }
        }

        if (state.ProcessedFor is { } dtype && dtype != _modelDType)
        {
            problems.Add($"the state was processed for {dtype.Name}, and the live model computes with {_modelDType.Name}");
        }

        if (problems.Count > 0)
        {
            throw new ModelMismatchException(state.Folder, [.. problems], "Is this the state of the live model's own rank?");
        }
    }

    private static (LayerOutcome Outcome, string Reason)? Problem(ModelLayer layer, ShardedState state, ImmutableArray<string> unknown)
    {
        const int Shown = 3;
        string[] missing = [.. SavedNames(layer).Where(name => state.Find(name) is null).Order(StringComparer.Ordinal).Select(Quoted.Name)];
        if (missing.Length > 0)
        {
            return (LayerOutcome.Incomplete, $"the state has no {string.Join(", ", missing.Take(Shown))}{(missing.Length > Shown ? $" and {missing.Length - Shown} more" : "")}");
        }

        // What the live layer has not would change what its other tensors mean, such as a scale.
        if (unknown.FirstOrDefault(name => layer.Modules.Any(module => name.LastIndexOf('.') is var dot && (dot < 0 ? "" : name[..dot]) == module)) is { } beside)
        {
            return (LayerOutcome.Failed, $"the state has {Quoted.Name(beside)}, which the live layer has not");
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
