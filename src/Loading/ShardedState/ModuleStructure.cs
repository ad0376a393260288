using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// What a model's modules hold at one time, so that it can be put back after something has registered, removed or replaced parameters without values. Keeps the tensors until it is disposed. Not safe for several
/// threads.
/// </summary>
internal sealed class ModuleStructure : IDisposable
{
    private readonly ImmutableArray<HeldModule> _modules;

    private ModuleStructure(ImmutableArray<HeldModule> modules) => _modules = modules;

    /// <summary>Remembers a model.</summary>
    public static ModuleStructure Of(Module model) => new([.. model.NamedModules().Select(entry => new HeldModule(
        entry.Module,
        entry.Module.QuantizeMethod,
        [.. entry.Module.Parameters.Select(parameter => new HeldParameter(
            parameter.Key, parameter.Value, parameter.Value.Data.On(parameter.Value.Data.Device), parameter.Value.Data, parameter.Value.Loader, [.. parameter.Value.Attributes]))],
        [.. entry.Module.Buffers.Select(buffer => (buffer.Key, buffer.Value, buffer.Value.On(buffer.Value.Device)))]))]);

    /// <summary>Puts everything back, and disposes what was not there.</summary>
    public void Restore()
    {
        var known = _modules.SelectMany(held => held.Parameters).Select(held => held.Parameter).ToHashSet<object>(ReferenceEqualityComparer.Instance);
        foreach (var (module, method, parameters, buffers) in _modules)
        {
            module.QuantizeMethod = method;
            foreach (var name in module.Parameters.Keys.ToArray())
            {
                var parameter = module.TakeParameter(name)!;
                if (!known.Contains(parameter))
                {
                    parameter.Dispose();
                }
            }

            foreach (var held in parameters)
            {
                var parameter = held.Parameter;
                if (!ReferenceEquals(parameter.Data, held.Before) || held.Before.IsDisposed)
                {
                    parameter.SetData(held.Kept.On(held.Kept.Device));
                }

                parameter.Loader = held.Loader;
                parameter.Attributes.Clear();
                foreach (var attribute in held.Attributes)
                {
                    parameter.Attributes.Add(attribute);
                }

                _ = module.Register(held.Name, parameter);
            }

            foreach (var name in module.Buffers.Keys.ToArray())
            {
                var buffer = module.TakeBuffer(name)!;
                if (!buffers.Any(held => ReferenceEquals(held.Buffer, buffer)))
                {
                    buffer.Dispose();
                }
            }

            foreach (var (name, buffer, kept) in buffers)
            {
                _ = module.Register(name, buffer.IsDisposed ? kept.On(kept.Device) : buffer);
            }
        }
    }

    /// <summary>Lets the tensors go.</summary>
    public void Dispose()
    {
        foreach (var tensor in _modules.SelectMany(held => held.Parameters.Select(parameter => parameter.Kept).Concat(held.Buffers.Select(buffer => buffer.Kept))))
        {
            tensor.Dispose();
        }
    }

    private sealed record HeldModule(Module Module, IQuantizeMethod? Method, ImmutableArray<HeldParameter> Parameters, ImmutableArray<(string Name, Tensor Buffer, Tensor Kept)> Buffers);

    private sealed record HeldParameter(
        string Name, Parameter Parameter, Tensor Kept, Tensor Before, WeightLoader Loader, ImmutableArray<KeyValuePair<string, object?>> Attributes);
}
