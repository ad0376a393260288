using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>GPTQ: numbers of 2, 4 or 8 bits in groups of inputs (<c>qweight</c>, <c>qzeros</c>, <c>scales</c>, <c>g_idx</c>).</summary>
public sealed class GptqConfig : QuantizationConfig
{
    private readonly ImmutableArray<(string Pattern, QuantizationFields? Fields)> _rules;
    private ImmutableArray<string>? _only;
    private readonly bool _quantisesOutput;

    private GptqConfig(
        GptqSettings settings, bool quantisesOutput, ImmutableArray<string>? only, ImmutableArray<(string Pattern, QuantizationFields? Fields)> rules) =>
        (Settings, _quantisesOutput, _only, _rules) = (settings, quantisesOutput, only, rules);

    /// <inheritdoc/>
    public override string Name => "gptq";

    /// <summary>What holds for every layer that no rule of its own has.</summary>
    public GptqSettings Settings { get; }

    /// <inheritdoc/>
    /// <remarks>Rules with patterns stay as they are.</remarks>
    public override void MapNames(Func<string, string> map) => _only = _only is { } only ? [.. only.Select(map)] : null;

    /// <inheritdoc/>
    public override IQuantizeMethod? MethodFor(Module layer, string prefix) =>
        layer is LinearLayer && ModuleNames.OfAllParts(prefix, PackedModules, SettingsOf) is { } settings ? new GptqLinearMethod(settings) : null;

    internal static GptqConfig Read(QuantizationFields fields)
    {
        // "gptq_v2" is GPTQModel's format, whose zero points are as they are; "gptq" has one less. Others pack words in another order.
        var format = fields.Text("checkpoint_format");
        if (format is not (null or "gptq" or "gptq_v2"))
        {
            throw new UnsupportedCheckpointException(
                $"GPTQ in the format {Quoted.Plain(format)}", fields.File, $"checkpoint_format is {Quoted.Name(format)}, whose weights are packed otherwise; gptq and gptq_v2 are read: take the model in one of these");
        }

        var offset = format == "gptq_v2" ? 0 : 1;
        var settings = Read(
            fields,
            new GptqSettings(
                fields.Number("bits") ?? throw fields.Wrong("bits", "the bits of a number", null),
                fields.Number("group_size") ?? throw fields.Wrong("group_size", "the inputs of a group, or -1", null),
                false,
                offset));

        var rules = ImmutableArray.CreateBuilder<(string, QuantizationFields?)>();
        var dynamic = fields.Within("dynamic");
        foreach (var rule in dynamic.Names())
        {
            rules.Add(rule switch
            {
                ['-', ':', .. var pattern] => (pattern, null),
                ['+', ':', .. var pattern] => (pattern, dynamic.Within(rule)),
                _ => (rule, dynamic.Within(rule)),
            });
        }

        foreach (var (_, own) in rules)
        {
            if (own is { } change)
            {
                _ = Read(change, settings);
            }
        }

        return new GptqConfig(settings, fields.Flag("lm_head") ?? false, Only(fields), rules.ToImmutable());
    }

    // The settings of a module as the checkpoint names it; null where it is not quantised.
    private GptqSettings? SettingsOf(string name)
    {
        if ((!_quantisesOutput && ModuleNames.IsWithin(name, "lm_head")) || (_only is { } only && !only.Any(entry => ModuleNames.IsWithin(name, entry))))
        {
            return null;
        }

        foreach (var (pattern, fields) in _rules)
        {
            if (ModuleNames.Matches(name, pattern))
            {
                return fields is { } own ? Read(own, Settings) : null;
            }
        }

        return Settings;
    }

    private static GptqSettings Read(QuantizationFields fields, GptqSettings otherwise)
    {
        var settings = otherwise with
        {
            Bits = fields.Number("bits") ?? otherwise.Bits,
            GroupSize = fields.Number("group_size") ?? otherwise.GroupSize,
            HasActivationOrder = fields.Flag("desc_act") ?? otherwise.HasActivationOrder,
        };
        if (settings.Bits is not (2 or 4 or 8))
        {
            throw new UnsupportedCheckpointException(
                $"gptq with {settings.Bits} bits", fields.File, $"its weights are quantised with GPTQ to {settings.Bits} bits, and 2, 4 and 8 are unpacked here (3 are packed across words)");
        }

        return settings.GroupSize is -1 or > 0 ? settings : throw fields.Wrong("group_size", "the inputs of a group, or -1", fields.Find("group_size"));
    }

    // Also in lists of lists, one for each step of the quantisation.
    private static ImmutableArray<string>? Only(QuantizationFields fields)
    {
        const string name = "modules_in_block_to_quantize";
        if (fields.Find(name) is not { ValueKind: System.Text.Json.JsonValueKind.Array } list)
        {
            return null;
        }

        var names = list.EnumerateArray().SelectMany(item => item.ValueKind == System.Text.Json.JsonValueKind.Array ? item.EnumerateArray().ToArray() : [item]).ToArray();
        return names.Length == 0 ? null
            : names.All(item => item.ValueKind == System.Text.Json.JsonValueKind.String) ? [.. names.Select(item => item.GetString()!)]
            : throw fields.Wrong(name, "a list of strings, or of lists of them", list);
    }
}
