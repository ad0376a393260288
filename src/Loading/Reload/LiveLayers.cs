using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Parts a live model into layers.</summary>
internal static class LiveLayers
{
    /// <summary>Finds the layers of a model.</summary>
    /// <param name="model">The model, with its storage.</param>
    /// <param name="captured">What weights are loaded into; its modules belong to a layer also where they have no tensors now.</param>
    /// <exception cref="InvalidOperationException">A parameter that is needed has no storage, or the tensors of a layer are on several devices.</exception>
    public static ImmutableArray<LiveLayer> Find(Module model, CapturedModel captured)
    {
        var modules = model.NamedModules().ToList();
        var groups = modules.GroupBy(entry => LayerOf(entry.Name), StringComparer.Ordinal).Select(group => group.ToList()).ToList();
        var loads = captured.Modules.ToHashSet(ReferenceEqualityComparer.Instance);
        var together = captured.Shared.SelectMany((modules, number) => modules.Select(module => (module, number))).ToLookup(entry => entry.module, entry => entry.number);
        var layers = ImmutableArray.CreateBuilder<LiveLayer>();
        foreach (var joined in Join(groups, together))
        {
            if (!joined.Exists(entry => HasTensors(entry.Module)) && !joined.Exists(entry => loads.Contains(entry.Module) && entry.Module.QuantizeMethod is not null))
            {
                continue;
            }

            layers.Add(Describe(joined));
        }

        return layers.ToImmutable();
    }

    /// <summary>
    /// The layer that a module belongs to: up to the first part of its name that is a number, as elements of lists are named (<c>model.layers.0</c> of <c>model.layers.0.self_attn.qkv_proj</c>); the
    /// module itself where there is none.
    /// </summary>
    internal static string LayerOf(string module)
    {
        for (var start = 0; start < module.Length;)
        {
            var dot = module.IndexOf('.', start);
            var end = dot < 0 ? module.Length : dot;
            if (end > start && !module.AsSpan(start, end - start).ContainsAnyExceptInRange('0', '9'))
            {
                return module[..end];
            }

            start = end + 1;
        }

        return module;
    }

    private static bool HasTensors(Module module) => module.Parameters.Count > 0 || module.Buffers.Count > 0;

    private static IEnumerable<Tensor> TensorsOf(Module module) => module.Parameters.Values.Select(parameter => parameter.Data).Concat(module.Buffers.Values);

    // What shares storage, or a parameter, changes at the same time; so does what is loaded as one parameter, of which processing has made several.
    private static IEnumerable<List<(string Name, Module Module)>> Join(List<List<(string Name, Module Module)>> groups, ILookup<Module, int> together)
    {
        var first = new Dictionary<object, int>(ReferenceEqualityComparer.Instance);
        var loaded = new Dictionary<int, int>();
        int[] leaders = [.. Enumerable.Range(0, groups.Count)];
        for (var i = 0; i < groups.Count; i++)
        {
            foreach (var module in groups[i].Select(entry => entry.Module))
            {
                foreach (var shared in module.Parameters.Values.Concat<object>(TensorsOf(module).Where(tensor => tensor.ElementCount > 0).Select(tensor => tensor.Memory)))
                {
                    if (!first.TryAdd(shared, i))
                    {
                        JoinTo(first[shared], i);
                    }
                }

                foreach (var number in together[module])
                {
                    if (!loaded.TryAdd(number, i))
                    {
                        JoinTo(loaded[number], i);
                    }
                }
            }
        }

        return groups.Select((group, i) => (group, Leader: Leader(i))).GroupBy(entry => entry.Leader).Select(joined => joined.SelectMany(entry => entry.group).ToList());

        void JoinTo(int one, int other)
        {
            (one, other) = (Leader(one), Leader(other));
            leaders[Math.Max(one, other)] = Math.Min(one, other);
        }

        int Leader(int group)
        {
            while (leaders[group] != group)
            {
                group = leaders[group];
            }

            return group;
        }
    }

    private static LiveLayer Describe(List<(string Name, Module Module)> modules)
    {
        var tensors = new List<KeyValuePair<string, Tensor>>();
        Device? device = null;
        foreach (var (name, module) in modules)
        {
            foreach (var (own, parameter) in module.Parameters)
            {
                if (parameter.IsMeta && parameter.IsRequired && parameter.Data.ElementCount > 0)
                {
                    throw new InvalidOperationException($"Parameter {Module.Join(name, own)} has no storage: a model is reloaded after its first load.");
                }

                // As a load sets it, of which this may be the first that is told of the model.
                parameter.Name = parameter.Name.Length == 0 ? Module.Join(name, own) : parameter.Name;
                Add(Module.Join(name, own), parameter.Data);
            }

            foreach (var (own, buffer) in module.Buffers)
            {
                Add(Module.Join(name, own), buffer);
            }
        }

        ImmutableArray<string> names = [.. modules.Where(entry => HasTensors(entry.Module)).Select(entry => entry.Name)];
        return new LiveLayer(new ModelLayer(names is [var first, ..] ? LayerOf(first) : modules[0].Name, names, tensors), [.. modules.Select(entry => entry.Module)], device ?? HostDevice.Shared);

        void Add(string name, Tensor tensor)
        {
            if (tensor.Device.Kind == DeviceKind.Meta)
            {
                return;
            }

            if (tensor.IsReadOnly)
            {
                throw new InvalidOperationException($"Tensor {name} can only be read, as a mapped file can: load the model into memory of its own.");
            }

            tensors.Add(KeyValuePair.Create(name, tensor));
            if (tensor.ElementCount > 0 && !ReferenceEquals(device ??= tensor.Device, tensor.Device) && !(device.IsHost && tensor.Device.IsHost))
            {
                throw new InvalidOperationException($"Tensor {name} is on {tensor.Device}, and others of its layer are on {device}: a layer is reloaded on one device.");
            }
        }
    }
}
