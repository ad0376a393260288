using System.Collections.Immutable;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>compressed-tensors: groups of modules, each with a scheme. Its 8-bit integers and floats are dequantised; other schemes are refused at the first layer that has one.</summary>
public sealed class CompressedTensorsConfig : QuantizationConfig
{
    private readonly string? _file;
    private readonly ImmutableArray<(string Target, GroupScheme Group)> _targets;
    private ImmutableArray<string> _ignored;

    private CompressedTensorsConfig(string? file, ImmutableArray<(string Target, GroupScheme Group)> targets, ImmutableArray<string> ignored) =>
        (_file, _targets, _ignored) = (file, targets, ignored);

    /// <inheritdoc/>
    public override string Name => "compressed-tensors";

    /// <summary>Modules that are not quantised: names, and patterns behind <c>re:</c>.</summary>
    public ImmutableArray<string> Ignored => _ignored;

    /// <inheritdoc/>
    /// <remarks>Patterns stay as they are.</remarks>
    public override void MapNames(Func<string, string> map) => _ignored = [.. _ignored.Select(entry => entry.StartsWith("re:", StringComparison.Ordinal) ? entry : map(entry))];

    /// <inheritdoc/>
    /// <exception cref="UnsupportedCheckpointException">The layer's scheme is not one that is dequantised.</exception>
    /// <exception cref="ModelMismatchException">Parts that the layer packs have different schemes.</exception>
    public override IQuantizeMethod? MethodFor(Module layer, string prefix)
    {
        if (layer is not LinearLayer || ModuleNames.OfAllParts(prefix, PackedModules, IsIgnored))
        {
            return null;
        }

        return ModuleNames.OfAllParts(prefix, PackedModules, name => SchemeOf(layer, name)) is { } scheme ? MethodOf(scheme, prefix) : null;
    }

    internal static CompressedTensorsConfig Read(QuantizationFields fields)
    {
        var targets = ImmutableArray.CreateBuilder<(string, GroupScheme)>();
        var groups = fields.Within("config_groups");
        var format = fields.Text("format") ?? "dense";
        if (fields.Within("sparsity_config").Text("format") is { } sparsity && sparsity != "dense")
        {
            throw new UnsupportedCheckpointException("sparse compressed-tensors", fields.File, $"its weights are stored sparsely ({Quoted.Plain(sparsity)}), and are not unpacked here");
        }

        foreach (var name in groups.Names())
        {
            var group = groups.Within(name);
            var scheme = ReadScheme(group, group.Text("format") ?? format);
            foreach (var target in group.Texts("targets") ?? throw group.Wrong("targets", "a list of modules", null))
            {
                targets.Add((target, scheme));
            }
        }

        return new CompressedTensorsConfig(fields.File, targets.ToImmutable(), fields.Texts("ignore") ?? []);
    }

    private static GroupScheme ReadScheme(QuantizationFields group, string format)
    {
        if (group.Find("weights") is null)
        {
            return new GroupScheme(format, false, 0, "", "", 0, 0, 0, false, false);
        }

        var weights = group.Within("weights");
        var groupSize = weights.Number("group_size");
        var block = weights.Numbers("block_structure");
        if (block is not null and not [> 0, > 0])
        {
            throw weights.Wrong("block_structure", "two sizes above 0", weights.Find("block_structure"));
        }

        // What compressed-tensors itself takes where it is left out.
        var strategy = weights.Text("strategy") ?? (groupSize switch
        {
            null => "tensor",
            -1 => "channel",
            _ => "group",
        });
        if (strategy == "group" && groupSize is not > 0)
        {
            throw weights.Wrong("group_size", "the inputs of a group", weights.Find("group_size"));
        }

        if (strategy == "block" && block is null)
        {
            throw weights.Wrong("block_structure", "the outputs and inputs of a block", null);
        }

        var inputs = group.Within("input_activations");
        return new GroupScheme(
            format,
            true,
            weights.Number("num_bits") ?? 8,
            weights.Text("type") ?? "int",
            strategy,
            groupSize ?? 0,
            block?[0] ?? 0,
            block?[1] ?? 0,
            weights.Flag("symmetric") ?? true,
            group.Find("input_activations") is { ValueKind: JsonValueKind.Object } && inputs.Find("dynamic") is not { ValueKind: JsonValueKind.True or JsonValueKind.String });
    }

    private bool IsIgnored(string name) => _ignored.Any(entry => ModuleNames.IsNameOrPattern(name, entry));

    // Names come before classes, as compressed-tensors has it.
    private GroupScheme? SchemeOf(Module layer, string name) =>
        _targets.Where(target => ModuleNames.IsNameOrPattern(name, target.Target)).Select(target => target.Group).FirstOrDefault()
        ?? _targets.Where(target => target.Target == "Linear" || target.Target == layer.ClassName).Select(target => target.Group).FirstOrDefault();

    private ScaledLinearMethod? MethodOf(GroupScheme scheme, string prefix)
    {
        if (!scheme.HasWeights)
        {
            return null;
        }

        DType? stored = (scheme.Type, scheme.Bits, scheme.Format) switch
        {
            ("int", 8, "int-quantized" or "naive-quantized") => DType.I8,
            ("float", 8, "float-quantized" or "naive-quantized") => DType.F8_E4M3,
            _ => null,
        };
        var layout = scheme.Strategy switch
        {
            "tensor" => ScaleLayout.PerPart,
            "channel" => ScaleLayout.PerChannel,
            "group" => ScaleLayout.Blocks(1, scheme.GroupSize),
            "block" => ScaleLayout.Blocks(scheme.BlockOutputs, scheme.BlockInputs),
            _ => null,
        };
        if (stored is not { } dtype || layout is null || (!scheme.IsSymmetric && dtype != DType.I8))
        {
            throw new UnsupportedCheckpointException(
                $"compressed-tensors {scheme.Format}",
                _file,
                $"layer {Quoted.Name(prefix)} is stored by compressed-tensors as {Quoted.Plain(scheme.ToString())}, and only 8-bit integers (int-quantized) and symmetric 8-bit floats (float-quantized), with scales for "
                + "tensors, channels, groups or blocks, are dequantised here");
        }

        return new ScaledLinearMethod(dtype, layout, "weight_scale", !scheme.IsSymmetric, scheme.HasInputScale);
    }

    private sealed record GroupScheme(
        string Format, bool HasWeights, int Bits, string Type, string Strategy, int GroupSize, int BlockOutputs, int BlockInputs, bool IsSymmetric, bool HasInputScale)
    {
        public override string ToString() =>
            HasWeights ? $"{Format}: {Type} of {Bits} bits by {Strategy}{(IsSymmetric ? "" : ", with zero points")}" : "not quantised";
    }
}
