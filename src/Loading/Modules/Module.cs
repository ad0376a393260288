using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// A part of a model: parameters, buffers and further modules by their names, in PyTorch's order: its own first, in the order in which they were registered, then those of
/// its children. No forward pass. Owns all of them; a parameter or module that is registered at several places is disposed once and listed at the first. Not safe for several
/// threads.
/// </summary>
[SuppressMessage("Naming", "CA1716:Identifiers should not match keywords", Justification = "PyTorch's word, as TorchSharp has it too; Visual Basic escapes it.")]
public class Module : IDisposable
{
    private readonly OrderedDictionary<string, Module> _children = new(StringComparer.Ordinal);
    private ModuleTensors _tensors = new();

    /// <summary>The name of the class, as lists of modules to skip have it.</summary>
    public virtual string ClassName => GetType().Name;

    /// <summary>How the module's weights are stored; null where they are as they are.</summary>
    public IQuantizeMethod? QuantizeMethod { get; set; }

    /// <summary>Whether weights come under the very names that a file stores: a GGUF's are not mapped to those of transformers. Default: false.</summary>
    public virtual bool TakesStoredNames => false;

    /// <summary>The module's own parameters by their names.</summary>
    public IReadOnlyDictionary<string, Parameter> Parameters => _tensors.Parameters;

    /// <summary>The module's own buffers by their names: tensors that are no weights.</summary>
    public IReadOnlyDictionary<string, Tensor> Buffers => _tensors.Buffers;

    /// <summary>The modules directly below this one by their names.</summary>
    public IReadOnlyDictionary<string, Module> Children => _children;

    /// <summary>Adds a parameter.</summary>
    /// <param name="name">Its name, without a dot.</param>
    /// <param name="parameter">The parameter; it is the module's from now on.</param>
    /// <returns>The parameter.</returns>
    /// <exception cref="ArgumentException">The name is empty, has a dot, or is taken.</exception>
    public Parameter Register(string name, Parameter parameter)
    {
        ArgumentNullException.ThrowIfNull(parameter);
        CheckName(name);
        _tensors.Parameters.Add(name, parameter);
        return parameter;
    }

    /// <summary>Adds a buffer.</summary>
    /// <inheritdoc cref="Register(string, Parameter)"/>
    /// <param name="name">Its name, without a dot.</param>
    /// <param name="buffer">The tensor; it is the module's from now on.</param>
    public Tensor Register(string name, Tensor buffer)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        CheckName(name);
        _tensors.Buffers.Add(name, buffer);
        return buffer;
    }

    /// <summary>Adds a module below this one.</summary>
    /// <inheritdoc cref="Register(string, Parameter)"/>
    /// <param name="name">Its name, without a dot.</param>
    /// <param name="module">The module; it is this one's from now on.</param>
    public TModule Register<TModule>(string name, TModule module)
        where TModule : Module
    {
        ArgumentNullException.ThrowIfNull(module);
        CheckName(name);
        _children.Add(name, module);
        return module;
    }

    /// <summary>Takes a parameter out, and disposes it.</summary>
    /// <param name="name">Its name in this module.</param>
    /// <returns>False where there was none of that name.</returns>
    public bool RemoveParameter(string name)
    {
        if (TakeParameter(name) is not { } parameter)
        {
            return false;
        }

        parameter.Dispose();
        return true;
    }

    /// <summary>Takes a buffer out, and disposes it.</summary>
    /// <param name="name">Its name in this module.</param>
    /// <returns>False where there was none of that name.</returns>
    public bool RemoveBuffer(string name)
    {
        if (TakeBuffer(name) is not { } buffer)
        {
            return false;
        }

        buffer.Dispose();
        return true;
    }

    /// <summary>Takes a parameter out; it is the caller's from now on. Null where there was none of that name.</summary>
    /// <param name="name">Its name in this module.</param>
    internal Parameter? TakeParameter(string name) => _tensors.Parameters.Remove(name, out var parameter) ? parameter : null;

    /// <summary>Takes a buffer out; it is the caller's from now on. Null where there was none of that name.</summary>
    /// <param name="name">Its name in this module.</param>
    internal Tensor? TakeBuffer(string name) => _tensors.Buffers.Remove(name, out var buffer) ? buffer : null;

    /// <summary>The module's own tensors.</summary>
    internal ModuleTensors Tensors => _tensors;

    /// <summary>Gives the module other tensors of its own in the place of those that it has.</summary>
    /// <param name="tensors">The tensors; they are the module's from now on.</param>
    /// <returns>Those that it had; they are the caller's.</returns>
    internal ModuleTensors Exchange(ModuleTensors tensors)
    {
        var before = _tensors;
        _tensors = tensors;
        return before;
    }

    /// <summary>Puts another tensor in a buffer's place among the others.</summary>
    /// <param name="name">The buffer's name in this module.</param>
    /// <param name="buffer">The tensor; it is the module's from now on.</param>
    /// <returns>The tensor before, which is the caller's from now on.</returns>
    internal Tensor ExchangeBuffer(string name, Tensor buffer)
    {
        var before = _tensors.Buffers[name];
        _tensors.Buffers[name] = buffer;
        return before;
    }

    /// <summary>Parameters of this module and of all below it, each once, with their full names.</summary>
    /// <param name="prefix">What the names begin with, without a dot behind it.</param>
    public IEnumerable<(string Name, Parameter Parameter)> NamedParameters(string prefix = "")
    {
        var seen = new HashSet<Parameter>(ReferenceEqualityComparer.Instance);
        return NamedModules(prefix)
            .SelectMany(module => module.Module._tensors.Parameters.Select(entry => (Join(module.Name, entry.Key), entry.Value)))
            .Where(entry => seen.Add(entry.Value));
    }

    /// <summary>Buffers of this module and of all below it, each once, with their full names.</summary>
    /// <inheritdoc cref="NamedParameters"/>
    public IEnumerable<(string Name, Tensor Buffer)> NamedBuffers(string prefix = "")
    {
        var seen = new HashSet<Tensor>(ReferenceEqualityComparer.Instance);
        return NamedModules(prefix)
            .SelectMany(module => module.Module._tensors.Buffers.Select(entry => (Join(module.Name, entry.Key), entry.Value)))
            .Where(entry => seen.Add(entry.Value));
    }

    /// <summary>
    /// The tensors of this module and of all below it under each of their names, as PyTorch's <c>state_dict</c> has them: parameters before buffers in each module, what is registered at several
    /// places once for each, and optional parameters without storage too, on the meta device.
    /// </summary>
    /// <inheritdoc cref="NamedParameters"/>
    public IEnumerable<(string Name, Tensor Tensor)> NamedState(string prefix = "") => NamedState(prefix, []);

    /// <summary>This module and all below it, each once and before those below it, with their full names.</summary>
    /// <inheritdoc cref="NamedParameters"/>
    public IEnumerable<(string Name, Module Module)> NamedModules(string prefix = "") =>
        NamedModules(prefix, new HashSet<Module>(ReferenceEqualityComparer.Instance));

    /// <summary>Finds a parameter by its full name, also by a later one of several names.</summary>
    public bool TryGetParameter(string name, [NotNullWhen(true)] out Parameter? parameter)
    {
        ArgumentNullException.ThrowIfNull(name);
        var module = this;
        var rest = name.AsSpan();
        for (var dot = rest.IndexOf('.'); dot >= 0; dot = rest.IndexOf('.'))
        {
            if (!module._children.TryGetValue(rest[..dot].ToString(), out module))
            {
                parameter = null;
                return false;
            }

            rest = rest[(dot + 1)..];
        }

        return module._tensors.Parameters.TryGetValue(rest.ToString(), out parameter);
    }

    /// <summary>Says what the model does with a weight of a checkpoint. Here: it goes into the parameter of the same name.</summary>
    /// <param name="name">The weight's name in the checkpoint, as transformers names it.</param>
    public virtual WeightRoute Route(string name) => TryGetParameter(name, out var parameter) ? WeightRoute.To(parameter) : WeightRoute.Unknown;

    /// <summary>Disposes all parameters, buffers and modules. Safe to call again.</summary>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Disposes all parameters, buffers and modules.</summary>
    protected virtual void Dispose(bool disposing)
    {
        if (!disposing)
        {
            return;
        }

        foreach (var parameter in _tensors.Parameters.Values)
        {
            parameter.Dispose();
        }

        foreach (var buffer in _tensors.Buffers.Values)
        {
            buffer.Dispose();
        }

        foreach (var child in _children.Values)
        {
            child.Dispose();
        }
    }

    /// <summary>Puts a name behind the full name of what it is in; empty for the outermost.</summary>
    internal static string Join(string prefix, string name) => prefix.Length == 0 ? name : $"{prefix}.{name}";

    private IEnumerable<(string Name, Module Module)> NamedModules(string prefix, HashSet<Module> seen)
    {
        if (!seen.Add(this))
        {
            yield break;
        }

        yield return (prefix, this);
        foreach (var (name, child) in _children)
        {
            foreach (var below in child.NamedModules(Join(prefix, name), seen))
            {
                yield return below;
            }
        }
    }

    private IEnumerable<(string Name, Tensor Tensor)> NamedState(string prefix, ImmutableHashSet<Module> above)
    {
        foreach (var (name, parameter) in _tensors.Parameters)
        {
            yield return (Join(prefix, name), parameter.Data);
        }

        foreach (var (name, buffer) in _tensors.Buffers)
        {
            yield return (Join(prefix, name), buffer);
        }

        // A module that has itself somewhere below would have names without end.
        var here = above.Add(this);
        foreach (var (name, child) in _children)
        {
            if (here.Contains(child))
            {
                continue;
            }

            foreach (var entry in child.NamedState(Join(prefix, name), here))
            {
                yield return entry;
            }
        }
    }

    private void CheckName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (name.Contains('.', StringComparison.Ordinal) || _tensors.Parameters.ContainsKey(name) || _tensors.Buffers.ContainsKey(name) || _children.ContainsKey(name))
        {
            throw new ArgumentException(
                $"'{name}' {(name.Contains('.', StringComparison.Ordinal) ? "has a dot, which parts modules" : "is taken by another parameter, buffer or module")}.", nameof(name));
        }
    }
}
