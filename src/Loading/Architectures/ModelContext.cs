using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What a model is made of and for: its configuration, dtype, ranks and quantisation. Immutable, but for what it refers to.</summary>
public sealed record ModelContext
{
    private static readonly AsyncLocal<Scope?> CurrentScope = new();

    private readonly DType? _dtype;
    private readonly string? _quantizationMethod;

    /// <summary>The scope's context while a model is made; null outside. Flows with async.</summary>
    public static ModelContext? Current => CurrentScope.Value?.Context;

    /// <summary>The full name of the model that is made, empty for the outermost; empty outside. Flows with async.</summary>
    public static string CurrentPrefix => CurrentScope.Value?.Prefix ?? "";

    /// <summary>The model's configuration.</summary>
    public required ModelConfig Config { get; init; }

    /// <summary>
    /// The dtype that the model computes with. Default: what the configuration names (<c>torch_dtype</c> or <c>dtype</c>), else <see cref="DefaultDType.Current"/>.
    /// </summary>
    public DType DType
    {
        get => _dtype ?? DTypeOf(Config) ?? DefaultDType.Current;
        init => _dtype = value;
    }

    /// <summary>The ranks that share the model.</summary>
    public TensorParallel Parallel { get; init; } = new(1, 0);

    /// <summary>Whether ranks share a mixture's experts, and have theirs whole.</summary>
    public bool ExpertParallel { get; init; }

    /// <summary>How the model is quantised; null where it is not.</summary>
    public QuantizationConfig? Quantization { get; init; }

    /// <summary>
    /// The name of the quantisation method, such as <c>gptq_marlin</c>; null where the model is not quantised. Default: that of <see cref="Quantization"/>, else what the configuration names.
    /// </summary>
    public string? QuantizationMethod
    {
        get => _quantizationMethod ?? Quantization?.Name ?? Config.QuantizationMethod;
        init => _quantizationMethod = value;
    }

    /// <summary>Which layout the model gets.</summary>
    public ModelImplementation Implementation { get; init; }

    /// <summary>What the model is for.</summary>
    public ModelTask Task { get; init; }

    /// <summary>The weights, whose names and shapes the generic layout is made of; null where they are not known. Stays the caller's.</summary>
    public Checkpoint? Checkpoint { get; init; }

    /// <summary>Where warnings go.</summary>
    public WarningLog Warnings { get; init; } = WarningLog.None;

    /// <summary>What all layers have in common.</summary>
    public LayerOptions Layers => new(DType, Parallel, Quantization, ExpertParallel);

    /// <summary>Makes this the current context until what is returned is disposed, by the same flow of control.</summary>
    /// <param name="prefix">The full name of the model that is made.</param>
    public IDisposable Use(string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(prefix);
        var scope = new Scope(this, prefix, CurrentScope.Value);
        CurrentScope.Value = scope;
        return scope;
    }

    /// <summary>This context with the dtype that is asked for, or else the configuration's, or else F16: what vLLM computes with where weights are blocks and nothing is said.</summary>
    /// <param name="asked">The dtype that is asked for; null for none.</param>
    public ModelContext WithDType(DType? asked) =>
        asked is { } dtype ? this with { DType = dtype }
        : Config.TorchDType is null ? this with { DType = Formats.DType.F16 }
        : this;

    /// <summary>
    /// This context with the quantisation that its configuration says. The generic layout loads stored numbers as they are, so that a model that gets it has none, and its method, known or not, is not looked at.
    /// </summary>
    /// <param name="asked">The method that is asked for; null for what the configuration says.</param>
    /// <param name="registry">The kinds of models that there are; null for <see cref="ModelRegistry.Default"/>.</param>
    /// <exception cref="ArgumentException">The method that is asked for is not known, not the model's, or needs a quantised model.</exception>
    /// <exception cref="UnsupportedCheckpointException">There is no layout for the configuration, or the model's method is not known or not supported.</exception>
    /// <exception cref="InvalidCheckpointException">The configuration is not what it must be.</exception>
    public ModelContext WithQuantization(string? asked = null, ModelRegistry? registry = null) =>
        (registry ?? ModelRegistry.Default).GetArchitectureName(this) == ModelRegistry.GenericArchitecture
            ? this
            : this with { Quantization = QuantizationMethods.Read(Config.Root, asked, Config.Path) };

    private static DType? DTypeOf(ModelConfig config)
    {
        // Saved as str(dtype) by some tools.
        const string Module = "torch.";
        var name = config.TorchDType;
        name = name?.StartsWith(Module, StringComparison.Ordinal) is true ? name[Module.Length..] : name;
        return name switch
        {
            null or "auto" => null,
            "float32" or "float" => Formats.DType.F32,
            "float16" or "half" => Formats.DType.F16,
            "bfloat16" => Formats.DType.BF16,
            "float64" or "double" => Formats.DType.F64,
            _ => throw new UnsupportedCheckpointException(
                "dtypes of a configuration", config.Path, $"torch_dtype is {Quoted.Name(name)}; models compute in float32, float16, bfloat16 or float64. Give the dtype yourself."),
        };
    }

    private sealed class Scope(ModelContext context, string prefix, Scope? outer) : IDisposable
    {
        private bool _isOver;

        public ModelContext Context => context;

        public string Prefix => prefix;

        public void Dispose()
        {
            if (!_isOver)
            {
                _isOver = true;
                CurrentScope.Value = outer;
            }
        }
    }
}
