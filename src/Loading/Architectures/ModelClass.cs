using System.Collections.Immutable;
using System.Reflection;
using System.Runtime.ExceptionServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A kind of model: what makes one, and what a quantisation has to know of it. Safe for several threads while nobody changes <see cref="PackedModules"/>.</summary>
public sealed class ModelClass
{
    private static readonly ImmutableArray<Type> Accepted =
    [
        typeof(ModelContext), typeof(string), typeof(ModelConfig), typeof(QuantizationConfig), typeof(TensorParallel), typeof(DType), typeof(LayerOptions), typeof(WarningLog),
    ];

    private readonly Delegate _factory;
    private readonly ParameterInfo[] _arguments;

    // What is made of a model for a task; null for the model itself.
    private readonly Func<Module, ModelContext, Module>? _adapt;

    /// <summary>Makes a kind of model.</summary>
    /// <param name="name">Its name, such as <c>LlamaForCausalLM</c>.</param>
    /// <param name="factory">Makes a model of a context, under a full name (empty for the outermost).</param>
    public ModelClass(string name, Func<ModelContext, string, Module> factory)
        : this(name, (Delegate)factory)
    {
    }

    private ModelClass(string name, Delegate factory)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(factory);
        (Name, _factory) = (name, factory);
        var invoke = factory.GetType().GetMethod("Invoke")!;
        _arguments = invoke.GetParameters();
        if (!typeof(Module).IsAssignableFrom(invoke.ReturnType))
        {
            throw new ArgumentException($"The factory of {Quoted.Name(name)} gives {invoke.ReturnType.Name}; it has to give a {nameof(Module)}.", nameof(factory));
        }

        foreach (var argument in _arguments)
        {
            if (!Accepted.Contains(argument.ParameterType) && !argument.HasDefaultValue)
            {
                throw new ArgumentException(
                    $"The factory of {Quoted.Name(name)} asks for {argument.ParameterType.Name}; what there is to give is {string.Join(", ", Accepted.Select(type => type.Name))}, each by its type, "
                    + "of which a string is the prefix.",
                    nameof(factory));
            }
        }
    }

    private ModelClass(string name, ModelClass inner, Func<Module, ModelContext, Module> adapt)
    {
        (Name, _factory, _arguments, _adapt) = (name, inner._factory, inner._arguments, adapt);
        (PackedModules, NameMapper, ConfiguresQuantization) = (inner.PackedModules, inner.NameMapper, inner.ConfiguresQuantization);
        IsPooling = true;
    }

    /// <summary>The name, such as <c>LlamaForCausalLM</c>.</summary>
    public string Name { get; }

    /// <summary>
    /// Packed modules and the parts they pack; null where nothing is said of it. A quantisation gets this very table, so that what is changed while a model is made is seen there.
    /// </summary>
    public OrderedDictionary<string, ImmutableArray<string>>? PackedModules { get; init; }

    /// <summary>
    /// What the model calls a module or weight that a checkpoint's configuration names otherwise (vLLM's <c>hf_to_vllm_mapper</c>); null where names are the same.
    /// </summary>
    public WeightNameMapper? NameMapper { get; init; }

    /// <summary>Whether the factory tells the quantisation itself what it has to know (vLLM's <c>SupportsQuant</c>).</summary>
    public bool ConfiguresQuantization { get; init; }

    /// <summary>Whether the model embeds or scores already, so that those tasks change nothing.</summary>
    public bool IsPooling { get; init; }

    /// <summary>Whether the factory takes a context and a prefix. Others get what they ask for, with a warning.</summary>
    public bool TakesContextAndPrefix => TakesType(typeof(ModelContext)) && TakesType(typeof(string));

    /// <summary>Makes a kind of model of a factory that takes less than a context and a prefix.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="factory">
    /// Gives a <see cref="Module"/>, and takes any of context, prefix, configuration, quantisation, ranks, dtype, options of layers and warnings, each at most once.
    /// </param>
    /// <exception cref="ArgumentException">The factory gives something else, or takes what there is not.</exception>
    public static ModelClass OfOlderSignature(string name, Delegate factory) => new(name, factory);

    /// <summary>A kind of model that is made of this one's.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="adapt">Makes its model of this one's, which it owns then, also where it fails.</param>
    internal ModelClass With(string name, Func<Module, ModelContext, Module> adapt) => new(name, this, adapt);

    /// <summary>Makes a model, with those of the arguments that the factory takes.</summary>
    /// <param name="context">The context.</param>
    /// <param name="prefix">The model's full name; empty for the outermost.</param>
    /// <returns>The model, on the meta device; the caller's.</returns>
    internal Module Create(ModelContext context, string prefix)
    {
        var model = Invoke(context, prefix) ?? throw new InvalidOperationException($"The factory of {Quoted.Name(Name)} gave no model.");
        return _adapt is null ? model : _adapt(model, context);
    }

    private Module? Invoke(ModelContext context, string prefix)
    {
        if (_factory is Func<ModelContext, string, Module> factory)
        {
            return factory(context, prefix);
        }

        try
        {
            return (Module?)_factory.DynamicInvoke([.. _arguments.Select(argument => ArgumentOf(argument, context, prefix))]);
        }
        catch (TargetInvocationException exception) when (exception.InnerException is { } inner)
        {
            ExceptionDispatchInfo.Throw(inner);
            throw;
        }
    }

    private static object? ArgumentOf(ParameterInfo argument, ModelContext context, string prefix)
    {
        var type = argument.ParameterType;
        return type == typeof(ModelContext) ? context
            : type == typeof(string) ? prefix
            : type == typeof(ModelConfig) ? context.Config
            : type == typeof(QuantizationConfig) ? context.Quantization
            : type == typeof(TensorParallel) ? context.Parallel
            : type == typeof(DType) ? context.DType
            : type == typeof(LayerOptions) ? context.Layers
            : type == typeof(WarningLog) ? context.Warnings
            : argument.DefaultValue;
    }

    private bool TakesType(Type type) => _arguments.Any(argument => argument.ParameterType == type);
}
