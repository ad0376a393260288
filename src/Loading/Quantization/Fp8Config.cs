using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Floats of 8 bits (<c>fp8</c>): with a scale for each block (<c>weight_scale_inv</c>, DeepSeek's) or for each weight (<c>weight_scale</c>); or made of an unquantised checkpoint after
/// its load.
/// </summary>
public sealed class Fp8Config : QuantizationConfig
{
    private ImmutableArray<string> _ignored;

    /// <summary>Makes a configuration.</summary>
    /// <param name="isSerialized">Whether the checkpoint holds 8 bits; else they are made after the load.</param>
    /// <param name="activationScheme"><c>dynamic</c> or <c>static</c>: whether activations' scales are in the checkpoint, which nothing here uses.</param>
    /// <param name="ignoredLayers">Modules that are not quantised.</param>
    /// <param name="weightBlockSize">The outputs and inputs of a block; null for one scale for each weight.</param>
    /// <exception cref="ArgumentException">There is no such scheme, or blocks have not two sizes, static activations or no 8 bits.</exception>
    public Fp8Config(bool isSerialized = false, string activationScheme = "dynamic", ImmutableArray<string> ignoredLayers = default, ImmutableArray<int>? weightBlockSize = null)
    {
        if (activationScheme is not ("dynamic" or "static"))
        {
            throw new ArgumentException($"The activation scheme is dynamic or static, and not {Quoted.Name(activationScheme)}.", nameof(activationScheme));
        }

        if (weightBlockSize is { } block)
        {
            if (!isSerialized)
            {
                throw new ArgumentException("Blocks of weights are read from a checkpoint that has them, and not made of an unquantised one.", nameof(weightBlockSize));
            }

            if (block is not [> 0, > 0])
            {
                throw new ArgumentException($"Blocks have two sizes above 0, outputs and inputs, and not [{string.Join(", ", block)}].", nameof(weightBlockSize));
            }

            if (activationScheme != "dynamic")
            {
                throw new ArgumentException($"With blocks of weights activations are scaled dynamically, and not {activationScheme}.", nameof(activationScheme));
            }
        }

        (IsSerialized, ActivationScheme, _ignored, WeightBlockSize) = (isSerialized, activationScheme, ignoredLayers.IsDefault ? [] : ignoredLayers, weightBlockSize);
    }

    /// <inheritdoc/>
    public override string Name => "fp8";

    /// <summary>Whether the checkpoint holds 8 bits.</summary>
    public bool IsSerialized { get; }

    /// <summary><c>dynamic</c> or <c>static</c>.</summary>
    public string ActivationScheme { get; }

    /// <summary>The outputs and inputs of a block; null for one scale for each weight.</summary>
    public ImmutableArray<int>? WeightBlockSize { get; }

    /// <summary>Modules that are not quantised.</summary>
    public ImmutableArray<string> IgnoredLayers => _ignored;

    /// <summary>What quantises an unquantised checkpoint after its load.</summary>
    public static Fp8Config Online() => new();

    /// <inheritdoc/>
    public override void MapNames(Func<string, string> map) => _ignored = [.. _ignored.Select(map)];

    /// <inheritdoc/>
    public override IQuantizeMethod? MethodFor(Module layer, string prefix)
    {
        if (layer is not LinearLayer || ModuleNames.OfAllParts(prefix, PackedModules, name => _ignored.Any(entry => ModuleNames.IsWithin(name, entry))))
        {
            return null;
        }

        if (!IsSerialized)
        {
            return new OnlineFp8LinearMethod();
        }

        var hasInputScale = ActivationScheme == "static";
        return WeightBlockSize is [var outputs, var inputs]
            ? new ScaledLinearMethod(DType.F8_E4M3, ScaleLayout.Blocks(outputs, inputs), "weight_scale_inv")
            : new ScaledLinearMethod(DType.F8_E4M3, ScaleLayout.PerPart, "weight_scale", hasInputScale: hasInputScale);
    }

    internal static Fp8Config Read(QuantizationFields fields)
    {
        var scheme = fields.Text("activation_scheme") ?? "dynamic";
        var block = fields.Numbers("weight_block_size");
        try
        {
            return new Fp8Config(true, scheme, fields.Texts("ignored_layers") ?? fields.Texts("modules_to_not_convert") ?? [], block);
        }
        catch (ArgumentException exception)
        {
            throw new InvalidCheckpointException(CheckpointErrorCode.HeaderFieldInvalid, fields.File, $"quantization_config of fp8: {exception.Message}", innerException: exception);
        }
    }
}
