using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>AWQ: recognised, and its layers refused, since their numbers are packed along the outputs in an order of their own, which nothing here unpacks.</summary>
public sealed class AwqConfig : QuantizationConfig
{
    private ImmutableArray<string> _ignored;

    private AwqConfig(int bits, int groupSize, ImmutableArray<string> ignored) => (Bits, GroupSize, _ignored) = (bits, groupSize, ignored);

    /// <inheritdoc/>
    public override string Name => "awq";

    /// <summary>The bits of a number.</summary>
    public int Bits { get; }

    /// <summary>The inputs of a group; -1 for all.</summary>
    public int GroupSize { get; }

    /// <inheritdoc/>
    public override void MapNames(Func<string, string> map) => _ignored = [.. _ignored.Select(map)];

    /// <inheritdoc/>
    /// <exception cref="UnsupportedCheckpointException">The layer is quantised.</exception>
    public override IQuantizeMethod? MethodFor(Module layer, string prefix) =>
        layer is not LinearLayer || ModuleNames.OfAllParts(prefix, PackedModules, name => _ignored.Any(entry => ModuleNames.IsWithin(name, entry)))
            ? null
            : throw new UnsupportedCheckpointException(
                "awq",
                null,
                $"layer {Quoted.Name(prefix)} is quantised with AWQ ({Bits} bits, groups of {GroupSize}), whose packed weights (qweight along the outputs, in AWQ's order) are not unpacked here; take the model quantised "
                + "as gptq, fp8 or compressed-tensors, or unquantised");

    internal static AwqConfig Read(QuantizationFields fields) => new(
        fields.Number("w_bit") ?? fields.Number("bits") ?? throw fields.Wrong("bits", "the bits of a number", null),
        fields.Number("q_group_size") ?? fields.Number("group_size") ?? throw fields.Wrong("group_size", "the inputs of a group", null),
        fields.Texts("modules_to_not_convert") ?? []);
}
