using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <content>Reloads of what a rank has saved.</content>
internal sealed partial class ReloadRun
{
    /// <summary>Loads the tensors that a rank has saved as they are in memory, layer by layer.</summary>
    public async Task LoadAsync(ShardedState state, bool verify, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        var stored = state.Tensors.ToLookup(tensor => LayerOf(tensor.Name));
        _excess = [.. stored[-1].Select(tensor => tensor.Name)];
        var total = new LayerProgress(
            progress, state.Tensors.Where(tensor => tensor.IsStored && LayerOf(tensor.Name) >= 0).Sum(tensor => tensor.DType.ByteCount(tensor.Shape.ElementCount)), state.Tensors.Count(tensor => tensor.IsStored && LayerOf(tensor.Name) >= 0));
        for (var i = 0; i < _layers.Length; i++)
        {
            var layer = _layers[i];
            if (Problem(layer.Layer, state) is var (outcome, reason))
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
                await TakeAsync(i, ProcessedLayer.Of(layer, tensors), cancellationToken).ConfigureAwait(false);
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

    private static (LayerOutcome Outcome, string Reason)? Problem(ModelLayer layer, ShardedState state)
    {
        const int Shown = 3;
        string[] missing = [.. layer.Tensors.Keys.Where(name => state.Find(name) is null).Order(StringComparer.Ordinal).Select(Quoted.Name)];
        if (missing.Length > 0)
        {
            return (LayerOutcome.Incomplete, $"the state has no {string.Join(", ", missing.Take(Shown))}{(missing.Length > Shown ? $" and {missing.Length - Shown} more" : "")}");
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
