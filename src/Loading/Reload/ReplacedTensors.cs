using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a module had of its own before it was restored on the meta device (<see cref="MetaTensors.RestoreLayerOnMeta"/>). The caller's to dispose. Not safe for several threads.</summary>
public sealed class ReplacedTensors : IDisposable
{
    private readonly OrderedDictionary<string, Parameter> _parameters = new(StringComparer.Ordinal);
    private readonly OrderedDictionary<string, Tensor> _buffers = new(StringComparer.Ordinal);

    internal ReplacedTensors()
    {
    }

    /// <summary>The parameters by the names that they had in the module, in their order.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _parameters;

    /// <summary>The buffers by the names that they had in the module, in their order.</summary>
    public IReadOnlyDictionary<string, Tensor> Buffers => _buffers;

    /// <summary>Disposes all of them. Whoever else holds one must not use it any more; views of it (<see cref="Tensor.On"/>) keep its memory. Safe to call again.</summary>
    public void Dispose()
    {
        foreach (var parameter in _parameters.Values)
        {
            parameter.Dispose();
        }

        foreach (var buffer in _buffers.Values)
        {
            buffer.Dispose();
        }
    }

    /// <summary>Disposes those that no module of a model holds: the others, such as the weight that an embedding and a head are tied by, stay the model's. Safe to call again.</summary>
    /// <param name="model">The model that the restored module is in.</param>
    public void DisposeUnheld(Module model)
    {
        ArgumentNullException.ThrowIfNull(model);
        var held = new HashSet<object>(ReferenceEqualityComparer.Instance);
        foreach (var (_, module) in model.NamedModules())
        {
            held.UnionWith(module.Parameters.Values);
            held.UnionWith(module.Parameters.Values.Select(parameter => parameter.Data));
            held.UnionWith(module.Buffers.Values);
        }

        foreach (var parameter in _parameters.Values.Where(parameter => !held.Contains(parameter) && !held.Contains(parameter.Data)))
        {
            parameter.Dispose();
        }

        foreach (var buffer in _buffers.Values.Where(buffer => !held.Contains(buffer)))
        {
            buffer.Dispose();
        }
    }

    internal void Add(string name, Parameter parameter) => _parameters.Add(name, parameter);

    internal void Add(string name, Tensor buffer) => _buffers.Add(name, buffer);
}
