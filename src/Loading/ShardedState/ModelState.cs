using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A model's state under every name, as it is at one time.</summary>
internal sealed class ModelState
{
    private readonly List<(Module Module, string Name, Tensor Buffer)> _buffers = [];

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
            state._buffers.AddRange(module.Buffers.Select(buffer => (module, buffer.Key, buffer.Value)));
        }

        return state;
    }

    /// <summary>The tensors that hold everything, by name (<see cref="SubtensorFilter"/>).</summary>
    public IReadOnlyDictionary<string, Tensor> Filter() =>
        SubtensorFilter.Filter(Entries.Select(entry => KeyValuePair.Create(entry.Name, entry.Tensor))).ToDictionary(StringComparer.Ordinal);

    /// <summary>Puts tensors in the place of those that are there, which are disposed: all of them, or none where the model is not what it was.</summary>
    /// <param name="replacements">The new tensor by the one that is there; they are the model's from now on.</param>
    /// <exception cref="InvalidOperationException">Somebody has changed the model since it was looked at; it is as it was.</exception>
    public void Replace(IReadOnlyDictionary<Tensor, Tensor> replacements)
    {
        ThrowIfChanged();
        var before = new List<Tensor>();
        foreach (var parameter in Entries.Select(entry => entry.Parameter).OfType<Parameter>().Distinct())
        {
            if (replacements.TryGetValue(parameter.Data, out var data))
            {
                before.Add(parameter.Exchange(data));
            }
        }

        foreach (var (module, name, buffer) in _buffers)
        {
            if (replacements.TryGetValue(buffer, out var data))
            {
                before.Add(module.ExchangeBuffer(name, data));
            }
        }

        // Last, when everything is in its place.
        before.ForEach(tensor => tensor.Dispose());
    }

    private void ThrowIfChanged()
    {
        var changed = Entries.Where(entry => entry.Parameter is { } parameter && !ReferenceEquals(parameter.Data, entry.Tensor)).Select(entry => entry.Name)
            .Concat(_buffers.Where(entry => !(entry.Module.Buffers.TryGetValue(entry.Name, out var buffer) && ReferenceEquals(buffer, entry.Buffer))).Select(entry => entry.Name))
            .Distinct(StringComparer.Ordinal).Select(Formats.Quoted.Name).ToArray();
        if (changed.Length > 0)
        {
            throw new InvalidOperationException($"The model was changed while it was loaded: {string.Join(", ", changed)}. Nobody else may use it meanwhile; load it again.");
        }
    }
}
