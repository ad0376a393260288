using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A layer's new tensors, loaded and processed, beside the live ones that they go into. Owns only what <see cref="BringToHost"/> makes.</summary>
internal sealed class ProcessedLayer : IDisposable
{
    private readonly List<(string Name, Tensor Live, Tensor Fresh)> _pairs = [];
    private readonly List<Tensor> _owned = [];

    private ProcessedLayer()
    {
    }

    /// <summary>Pairs new tensors with the live ones.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="tensors">The tensors of its modules.</param>
    /// <param name="problem">What does not fit, for a message; null where all does.</param>
    public static ProcessedLayer Of(LiveLayer layer, LoadingTensors tensors, out string? problem)
    {
        var processed = new ProcessedLayer();
        problem = null;
        foreach (var module in layer.Modules)
        {
            if (tensors.LoadingOf(module) is { } fresh)
            {
                problem ??= processed.Pair(tensors.LiveOf(module), fresh);
            }
        }

        problem ??= SharedPlaces.Problem(processed._pairs);
        return processed;
    }

    /// <summary>Pairs tensors that were saved as they are in memory with the live ones.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="saved">The saved tensors by their full names; the empty ones of the layer are not among them.</param>
    /// <param name="problem">What does not fit, for a message; null where all does.</param>
    public static ProcessedLayer Of(LiveLayer layer, IReadOnlyDictionary<string, Tensor> saved, out string? problem)
    {
        var processed = new ProcessedLayer();
        foreach (var (name, live) in layer.Layer.Tensors.Where(entry => saved.ContainsKey(entry.Key)).OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            if (!processed._pairs.Exists(pair => ReferenceEquals(pair.Live, live)))
            {
                processed._pairs.Add((name, live, saved[name]));
            }
        }

        problem = SharedPlaces.Problem(processed._pairs);
        return processed;
    }

    /// <summary>Brings the new tensors into host memory, where they wait; what they were made of can be freed then.</summary>
    /// <exception cref="DeviceMemoryException">The host has not enough memory.</exception>
    public void BringToHost()
    {
        for (var i = 0; i < _pairs.Count; i++)
        {
            var fresh = _pairs[i].Fresh;
            _owned.Add(fresh.Device.IsHost ? fresh.On(fresh.Device) : fresh.To(HostDevice.Shared));
            _pairs[i] = (_pairs[i].Name, _pairs[i].Live, _owned[^1]);
        }
    }

    /// <summary>Copies the new tensors into the live ones.</summary>
    public void Write()
    {
        foreach (var (_, live, fresh) in _pairs)
        {
            live.CopyFrom(fresh);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var tensor in _owned)
        {
            tensor.Dispose();
        }
    }

    private string? Pair(ModuleTensors live, ModuleTensors fresh)
    {
        foreach (var (name, parameter) in live.Parameters.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key)))
        {
            if (!fresh.Parameters.TryGetValue(name, out var made))
            {
                return $"the new weights make no parameter {Quoted.Name(parameter.Name.Length == 0 ? name : parameter.Name)}, which the live layer has";
            }

            if (Pair(parameter.Name.Length == 0 ? name : parameter.Name, parameter.Data, made.Data) is { } problem)
            {
                return problem;
            }
        }

        if (fresh.Parameters.FirstOrDefault(entry => !live.Parameters.ContainsKey(entry.Key)) is { Key: { } added, Value: { } parameterAdded })
        {
            return $"the new weights make a parameter {Quoted.Name(added)} of shape {parameterAdded.Shape}, which the live layer has not";
        }

        foreach (var (name, buffer) in fresh.Buffers.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key) && entry.Value.Device.Kind != DeviceKind.Meta))
        {
            if (!live.Buffers.TryGetValue(name, out var kept))
            {
                return $"the new weights make a buffer {Quoted.Name(name)} of shape {buffer.Shape}, which the live layer has not";
            }

            if (Pair(name, kept, buffer) is { } problem)
            {
                return problem;
            }
        }

        return null;
    }

    private string? Pair(string name, Tensor live, Tensor fresh)
    {
        var (isLiveMeta, isFreshMeta) = (live.Device.Kind == DeviceKind.Meta, fresh.Device.Kind == DeviceKind.Meta);
        if (isLiveMeta && isFreshMeta)
        {
            return null;
        }

        if (isLiveMeta != isFreshMeta)
        {
            return $"parameter {Quoted.Name(name)} has {(isLiveMeta ? "no storage in the live layer, and the new weights have values for it" : "storage in the live layer, and the new weights have no values for it")}";
        }

        if (live.DType != fresh.DType || live.Shape != fresh.Shape)
        {
            return $"{Quoted.Name(name)} is {live.DType.Name} {live.Shape} in the live layer, and the new weights make it {fresh.DType.Name} {fresh.Shape}";
        }

        // What is registered at several places is written once.
        if (!ReferenceEquals(live.Memory, fresh.Memory) && !_pairs.Exists(pair => ReferenceEquals(pair.Live, live)))
        {
            _pairs.Add((name, live, fresh));
        }

        return null;
    }
}
