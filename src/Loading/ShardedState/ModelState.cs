using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A model's state under every name, as it is at one time.</summary>
internal sealed class ModelState
{
    private readonly List<(Module Module, string Name)> _buffers = [];

    private ModelState(ImmutableArray<ModelStateEntry> entries, ImmutableSortedDictionary<string, string> methods) => (Entries, Methods) = (entries, methods);

    /// <summary>The tensors in the order of the model.</summary>
    public ImmutableArray<ModelStateEntry> Entries { get; }

    /// <summary>The class of the quantisation method of each module that has one.</summary>
    public ImmutableSortedDictionary<string, string> Methods { get; }

    /// <summary>Looks at a model.</summary>
    public static ModelState Of(Module model)
    {
        var parameters = new Dictionary<Tensor, Parameter>(ReferenceEqualityComparer.Instance);
        foreach (var (_, parameter) in model.NamedParameters())
        {
            parameters[parameter.Data] = parameter;
        }

        var state = new ModelState(
            [.. model.NamedState().Select(entry => new ModelStateEntry(entry.Name, entry.Tensor, parameters.GetValueOrDefault(entry.Tensor)))],
            model.NamedModules().Where(entry => entry.Module.QuantizeMethod is not null)
                .ToImmutableSortedDictionary(entry => entry.Name, entry => entry.Module.QuantizeMethod!.GetType().Name, StringComparer.Ordinal));
        foreach (var (_, module) in model.NamedModules())
        {
            state._buffers.AddRange(module.Buffers.Keys.Select(name => (module, name)));
        }

        return state;
    }

    /// <summary>The tensors that hold everything, by name (<see cref="SubtensorFilter"/>).</summary>
    public IReadOnlyDictionary<string, Tensor> Filter() =>
        SubtensorFilter.Filter(Entries.Select(entry => KeyValuePair.Create(entry.Name, entry.Tensor))).ToDictionary(StringComparer.Ordinal);

    /// <summary>Puts tensors in the place of those that are there, which are disposed.</summary>
    /// <param name="replacements">The new tensor by the one that is there; they are the model's from now on.</param>
    public void Replace(IReadOnlyDictionary<Tensor, Tensor> replacements)
    {
        foreach (var parameter in Entries.Select(entry => entry.Parameter).OfType<Parameter>().Distinct())
        {
            if (replacements.TryGetValue(parameter.Data, out var data))
            {
                parameter.SetData(data);
            }
        }

        foreach (var (module, name) in _buffers)
        {
            if (replacements.TryGetValue(module.Buffers[name], out var data))
            {
                module.ExchangeBuffer(name, data).Dispose();
            }
        }
    }
}
