using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// The tensors of a model's modules that new weights are loaded into, beside the live ones: either are in the modules, and the others here. Owns those that are not live. Not safe for several threads.
/// </summary>
internal sealed class LoadingTensors : IDisposable
{
    private readonly Dictionary<Module, ModuleTensors> _aside = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<Parameter> _loaded = new(ReferenceEqualityComparer.Instance);
    private readonly HashSet<Module> _loading = new(ReferenceEqualityComparer.Instance);

    /// <summary>Adds the tensors of a module.</summary>
    public void Add(Module module, ModuleTensors tensors)
    {
        _aside.Add(module, tensors);
        _loaded.UnionWith(tensors.Parameters.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key)).Select(entry => entry.Value));
    }

    /// <summary>Has one parameter at several places.</summary>
    public void Share(ImmutableArray<(Module Module, string Name)> places)
    {
        var first = _aside[places[0].Module].Parameters[places[0].Name];
        foreach (var (module, name) in places.Skip(1))
        {
            var parameters = _aside[module].Parameters;
            parameters[name].Dispose();
            parameters[name] = first;
        }
    }

    /// <summary>Whether a module has the tensors that weights are loaded into, and its live ones are here.</summary>
    public bool IsLoading(Module module) => _loading.Contains(module);

    /// <summary>The live tensors of a module, wherever they are.</summary>
    public ModuleTensors LiveOf(Module module) => _loading.Contains(module) ? _aside[module] : module.Tensors;

    /// <summary>The tensors of a module that weights are loaded into, wherever they are; null where it has none, or they were freed.</summary>
    public ModuleTensors? LoadingOf(Module module) => _loading.Contains(module) ? module.Tensors : _aside.GetValueOrDefault(module);

    /// <summary>Whether weights are loaded into a parameter that a model has now: not into what is skipped.</summary>
    public bool IsLoaded(Parameter parameter) => _loaded.Contains(parameter);

    /// <summary>Gives modules the tensors that weights are loaded into.</summary>
    public void Enter(IEnumerable<Module> modules)
    {
        foreach (var module in modules.Where(module => _aside.ContainsKey(module) && _loading.Add(module)))
        {
            _aside[module] = module.Exchange(_aside[module]);
        }
    }

    /// <summary>Gives modules their live tensors back.</summary>
    public void Leave(IEnumerable<Module> modules)
    {
        foreach (var module in modules.Where(_loading.Remove))
        {
            _aside[module] = module.Exchange(_aside[module]);
        }
    }

    /// <summary>Frees the tensors that weights were loaded into of modules that have their live ones.</summary>
    public void Free(IEnumerable<Module> modules)
    {
        foreach (var module in modules.Where(module => !_loading.Contains(module)))
        {
            if (_aside.Remove(module, out var tensors))
            {
                Free(tensors);
            }
        }
    }

    /// <summary>Gives all modules their live tensors back, and frees the others.</summary>
    public void Dispose()
    {
        Leave([.. _loading]);
        Free([.. _aside.Keys]);
    }

    private static void Free(ModuleTensors tensors)
    {
        foreach (var (_, parameter) in tensors.Parameters.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key)))
        {
            parameter.Dispose();
        }

        foreach (var (_, buffer) in tensors.Buffers.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key)))
        {
            buffer.Dispose();
        }
    }
}
