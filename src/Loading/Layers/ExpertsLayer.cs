using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A mixture's experts, each of which is a gated feed-forward network, in two parameters: <c>w13_weight</c> [experts, 2 * intermediate, hidden] with the gate (<c>w1</c>) above the up projection
/// (<c>w3</c>), and <c>w2_weight</c> [experts, hidden, intermediate]. Ranks share each expert, or the experts.
/// </summary>
public sealed class ExpertsLayer : Module
{
    /// <summary>Makes the layer, and its parameters on the meta device.</summary>
    /// <param name="experts">The experts over all ranks.</param>
    /// <param name="hidden">The width of the residual stream.</param>
    /// <param name="intermediate">The features between up and down projection of one expert, over all ranks.</param>
    /// <param name="options">What all layers have in common.</param>
    /// <param name="prefix">The full name, which a quantisation chooses the method by.</param>
    /// <exception cref="ArgumentException">The features cannot be split evenly over the ranks; the message has the numbers.</exception>
    /// <exception cref="UnsupportedCheckpointException">The experts are quantised, and the quantisation has no method for all of them in one parameter.</exception>
    public ExpertsLayer(int experts, long hidden, long intermediate, LayerOptions options, string prefix = "")
    {
        ArgumentNullException.ThrowIfNull(options);
        var parallel = options.Parallel;
        (Placement, var within) = options.ExpertParallel
            ? (ExpertPlacement.Contiguous(experts, parallel.WorldSize, parallel.Rank), new TensorParallel(1, 0))
            : (ExpertPlacement.All(experts), parallel);
        GateUp = LinearLayout.ForGateUp(hidden, intermediate, within, "w1", "w3");
        Down = LinearLayout.ForDown(hidden, intermediate, within, "w2");
        DType = options.DType;
        QuantizeMethod = options.Quantization?.MethodFor(this, prefix);
        if (QuantizeMethod is { } method)
        {
            method.CreateWeights(this);
            return;
        }

        // Raw numbers must not pass for weights.
        if (options.Quantization is { } quantization && QuantisesExperts(quantization, experts, options.DType, prefix))
        {
            throw new UnsupportedCheckpointException(
                "quantised experts in one parameter",
                null,
                $"the experts of {Quoted.Name(prefix)} are quantised with {quantization.Name}, and what packs them into one parameter does not dequantise them; make each projection a {nameof(LinearLayer)} of its own, "
                + "or take the model unquantised.");
        }

        foreach (var (name, layout) in ((string, LinearLayout)[])[("w13_weight", GateUp), ("w2_weight", Down)])
        {
            var shape = new Shape(Placement.LocalExperts.Length, layout.OutputSizePerRank, layout.InputSizePerRank);
            Register(name, new Parameter(DType, shape, WeightLoaders.Experts(Placement, layout, ParameterAxes.Weight)) { Conversion = ParameterConversion.FromFloats });
        }
    }

    /// <inheritdoc/>
    public override string ClassName => "FusedMoE";

    /// <summary>Which experts are on this rank.</summary>
    public ExpertPlacement Placement { get; }

    /// <summary>The features of one expert's gate and up projection, parts <c>w1</c> and <c>w3</c>.</summary>
    public LinearLayout GateUp { get; }

    /// <summary>The features of one expert's down projection, part <c>w2</c>.</summary>
    public LinearLayout Down { get; }

    /// <summary>The dtype that the layer computes with.</summary>
    public DType DType { get; }

    /// <summary>Says where a weight of one expert goes: <c>3.w1.weight</c> is part w1 of expert 3 of <c>w13_weight</c>.</summary>
    /// <param name="name">The weight's name below this module, or a parameter's.</param>
    public override WeightRoute Route(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        var parts = name.Split('.');
        if (parts.Length != 3)
        {
            return base.Route(name);
        }

        var packed = parts[1] switch
        {
            "w1" or "w3" => "w13",
            "w2" => "w2",
            _ => null,
        };
        return packed is not null
            && TryParseIndex(parts[0], out var expert)
            && expert < Placement.Count
            && Parameters.TryGetValue($"{packed}_{parts[2]}", out var parameter)
                ? WeightRoute.To(parameter, new ShardId(parts[1], expert))
                : WeightRoute.Unknown;
    }

    /// <summary>Whether a layer can be made: its experts are not quantised, or by a method that packs them.</summary>
    /// <inheritdoc cref="ExpertsLayer(int, long, long, LayerOptions, string)" path="/param"/>
    internal static bool CanPack(int experts, long hidden, long intermediate, LayerOptions options, string prefix)
    {
        if (options.Quantization is not { } quantization)
        {
            return true;
        }

        // Over one rank: those that there are need not share the features of experts that are not packed.
        using var layer = new ExpertsLayer(experts, hidden, intermediate, new LayerOptions(options.DType, new TensorParallel(1, 0)), prefix);
        return quantization.MethodFor(layer, prefix) is not null || !QuantisesExperts(quantization, experts, options.DType, prefix);
    }

    // What a method would do with an expert's projections tells whether the file has them quantised.
    private static bool QuantisesExperts(QuantizationConfig quantization, int experts, DType dtype, string prefix)
    {
        using var projection = new LinearLayer(new LinearLayout(1, [new PackedPart(null, 1)]), dtype);
        for (var expert = 0; expert < experts; expert++)
        {
            foreach (var name in (string[])["w1", "w2", "w3"])
            {
                if (quantization.MethodFor(projection, string.Create(CultureInfo.InvariantCulture, $"{prefix}.{expert}.{name}")) is not null)
                {
                    return true;
                }
            }
        }

        return false;
    }

    // "01" and "+1" are no other names of expert 1: nothing would tell that both are there.
    internal static bool TryParseIndex(string text, out int index) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out index) && text == index.ToString(CultureInfo.InvariantCulture);
}
