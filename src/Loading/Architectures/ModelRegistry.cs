using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Loading;

/// <summary>The kinds of models by the names of their architectures, as <c>config.json</c> has them. Safe for any thread.</summary>
public sealed partial class ModelRegistry
{
    /// <summary>
    /// The name of the generic layout. It is that of the implementation of vLLM which takes a model of transformers as it is, as this one takes a checkpoint; configurations may name it themselves.
    /// </summary>
    public const string GenericArchitecture = "TransformersForCausalLM";

    private static readonly ImmutableArray<ModelClass> BuiltIn =
    [
        LlamaArchitecture.Llama,
        LlamaArchitecture.Mistral,
        MixtralArchitecture.Mixtral,
        MixtralArchitecture.Quantized,
        QwenArchitecture.Qwen2,
        QwenArchitecture.Qwen3,
        GemmaArchitecture.Gemma,
        Phi3Architecture.Phi3,
        Gpt2Architecture.Gpt2,
        new(GenericArchitecture, (context, _) => GenericModel.Make(context)),
    ];

    private readonly Lock _lock = new();

    // In the order in which they were registered.
    private readonly OrderedDictionary<string, ModelClass> _classes = new(StringComparer.Ordinal);

    /// <summary>Makes a registry that has the built-in kinds of models.</summary>
    public ModelRegistry()
    {
        foreach (var model in BuiltIn)
        {
            _classes.Add(model.Name, model);
        }
    }

    /// <summary>The registry that is used where none is given.</summary>
    public static ModelRegistry Default { get; } = new();

    /// <summary>The names of all architectures, in the order in which they were registered.</summary>
    public ImmutableArray<string> SupportedArchitectures
    {
        get
        {
            lock (_lock)
            {
                return [.. _classes.Keys];
            }
        }
    }

    /// <summary>Adds a kind of model, or replaces the one of that architecture.</summary>
    /// <param name="architecture">The name that <c>config.json</c> has, such as <c>LlamaForCausalLM</c>.</param>
    /// <param name="model">The kind of model.</param>
    public void Register(string architecture, ModelClass model)
    {
        ArgumentException.ThrowIfNullOrEmpty(architecture);
        ArgumentNullException.ThrowIfNull(model);
        lock (_lock)
        {
            _classes[architecture] = model;
        }
    }

    /// <summary>Adds a kind of model that a factory makes.</summary>
    /// <inheritdoc cref="Register(string, ModelClass)"/>
    /// <param name="architecture">The name that <c>config.json</c> has.</param>
    /// <param name="factory">Makes a model of a context, under a full name.</param>
    public void Register(string architecture, Func<ModelContext, string, Module> factory) => Register(architecture, new ModelClass(architecture, factory));

    /// <summary>Finds the kind of model of an architecture.</summary>
    public bool TryGet(string architecture, [NotNullWhen(true)] out ModelClass? model)
    {
        ArgumentNullException.ThrowIfNull(architecture);
        lock (_lock)
        {
            return _classes.TryGetValue(architecture, out model);
        }
    }
}
