using System.Collections.Frozen;

namespace IlgpuLoader.Loading;

/// <summary>Which layer is meant by a name: the layer's own, that of a module or tensor in it, or of what lies between. Immutable.</summary>
internal sealed class HotLayerNames
{
    private readonly FrozenDictionary<string, HotLayer> _layers;

    public HotLayerNames(IReadOnlyList<HotLayer> layers)
    {
        var names = new Dictionary<string, HotLayer>(StringComparer.Ordinal);
        foreach (var layer in layers)
        {
            names[layer.Layer.Name] = layer;
        }

        // Layers come before what is in them, and exact names before those between, which two layers that share modules may both have.
        foreach (var layer in layers)
        {
            foreach (var name in layer.Layer.Modules.Concat(layer.Layer.Tensors.Keys))
            {
                _ = names.TryAdd(name, layer);
            }
        }

        foreach (var layer in layers)
        {
            foreach (var name in layer.Layer.Modules.Concat(layer.Layer.Tensors.Keys))
            {
                // Elements of lists that share memory are one layer, which has the name of the first.
                AddBetween(names, layer, name, layer.Layer.Name);
                AddBetween(names, layer, name, LiveLayers.LayerOf(name));
            }
        }

        _layers = names.ToFrozenDictionary(StringComparer.Ordinal);
    }

    /// <summary>The layer of a name; null where there is none.</summary>
    public HotLayer? Find(string name) => _layers.GetValueOrDefault(name);

    /// <summary>The layer of a name.</summary>
    /// <exception cref="LayerNotFoundException">There is none.</exception>
    public HotLayer Get(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Find(name) ?? throw new LayerNotFoundException(name, _layers.Keys);
    }

    private static void AddBetween(Dictionary<string, HotLayer> names, HotLayer layer, string name, string above)
    {
        if (!IsBelow(name, above))
        {
            return;
        }

        for (var dot = name.LastIndexOf('.'); dot >= above.Length; dot = name.LastIndexOf('.', dot - 1))
        {
            _ = names.TryAdd(name[..dot], layer);
        }
    }

    // What is below the model itself says nothing of a layer: every name is.
    private static bool IsBelow(string name, string layer) => layer.Length > 0 && name.StartsWith(layer, StringComparison.Ordinal) && name.Length > layer.Length && name[layer.Length] == '.';
}
