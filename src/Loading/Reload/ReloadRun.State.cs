using System.Collections.Immutable;
using System.Globalization;
using IlgpuLoader.Formats;

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
        var stored = state.Tensors.ToLookup(tensor => LayerOf(tensor.Name));
        _excess = [.. stored[-1].Select(tensor => tensor.Name)];
        var total = new LayerProgress(
            progress, state.Tensors.Where(tensor => tensor.IsStored && LayerOf(tensor.Name) >= 0).Sum(tensor => tensor.DType.ByteCount(tensor.Shape.ElementCount)), state.Tensors.Count(tensor => tensor.IsStored && LayerOf(tensor.Name) >= 0));
        for (var i = 0; i < _layers.Length; i++)
        {
            var layer = _layers[i];
            if (Problem(layer.Layer, state, _excess) is var (outcome, reason))
            {
                _outcomes[i] = (outcome, reason);
                continue;
            }

            long bytes = stored[i].Where(tensor => tensor.IsStored).Sum(tensor => tensor.DType.ByteCount(tensor.Shape.ElementCount));
            var options = new ShardedStateLoadOptions { Load = _options.Load with { Device = layer.Device }, Verify = verify };
            try
            {
                using var tensors = await state
                    .LoadTensorsAsync([.. layer.Layer.Tensors.Keys], options, total.Next(bytes, stored[i].Count(tensor => tensor.IsStored)), cancellationToken).ConfigureAwait(false);
                _bytesRead += bytes;
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

        int LayerOf(string name)
        {
            for (var i = 0; i < _layers.Length; i++)
            {
                if (_layers[i].Layer.Tensors.ContainsKey(name))
                {
                    return i;
                }
            }

            return -1;
        }
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
        string[] missing = [.. layer.Tensors.Keys.Where(name => state.Find(name) is null).Order(StringComparer.Ordinal).Select(Quoted.Name)];
        if (missing.Length > 0)
        {
            return (LayerOutcome.Incomplete, $"the state has no {string.Join(", ", missing.Take(Shown))}{(missing.Length > Shown ? $" and {missing.Length - Shown} more" : "")}");
        }

        // What the live layer has not would change what its other tensors mean, such as a scale.
        if (unknown.FirstOrDefault(name => layer.Modules.Any(module => name.LastIndexOf('.') is var dot && (dot < 0 ? "" : name[..dot]) == module)) is { } beside)
        {
            return (LayerOutcome.Failed, $"the state has {Quoted.Name(beside)}, which the live layer has not");
        }

        foreach (var (name, live) in layer.Tensors)
        {
            var saved = state.Find(name)!;
            if (saved.DType != live.DType || saved.Shape != live.Shape)
            {
                return (LayerOutcome.Failed, $"{Quoted.Name(name)} is {live.DType.Name} {live.Shape} in the live layer and {saved.DType.Name} {saved.Shape} in the state");
            }
        }

        return null;
    }
}
