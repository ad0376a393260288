using System.Collections.Immutable;
using System.Text.Json;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The quantisation methods that are known, by name. Immutable and safe for any thread.</summary>
public static class QuantizationMethods
{
    private static readonly ImmutableDictionary<string, QuantizationMethod> ByName = new QuantizationMethod[]
    {
        new("awq", AwqConfig.Read),
        new("awq_marlin", AwqConfig.Read),
        new("bitsandbytes", fields => throw new UnsupportedCheckpointException(
            "bitsandbytes",
            fields.File,
            "its weights are quantised with bitsandbytes, whose packed weights (absmax, nested quant maps) are not dequantised here; convert the model to an unquantised checkpoint, or take one quantised as "
            + "gptq, fp8 or compressed-tensors")),
        new("compressed-tensors", CompressedTensorsConfig.Read),
        new("fp8", Fp8Config.Read),
        new("gptq", GptqConfig.Read),
        new("gptq_marlin", GptqConfig.Read),
    }.ToImmutableDictionary(method => method.Name, StringComparer.Ordinal);

    /// <summary>The names, in order.</summary>
    public static ImmutableArray<string> Names { get; } = [.. ByName.Keys.Order(StringComparer.Ordinal)];

    /// <summary>Finds a method.</summary>
    /// <param name="name">Its name; <c>compressed_tensors</c> is understood too.</param>
    /// <exception cref="ArgumentException">There is none of that name; the message has those that there are.</exception>
    public static QuantizationMethod Get(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        return Find(name) ?? throw new ArgumentException($"There is no quantisation method {Quoted.Name(name)}; known are {string.Join(", ", Names)}.", nameof(name));
    }

    /// <summary>How a model is quantised.</summary>
    /// <param name="config">The model's configuration (<c>config.json</c>), in which <c>quantization_config</c> or <c>compression_config</c> says it, also that of its <c>text_config</c>.</param>
    /// <param name="asked">The method that is asked for; null for what the configuration says.</param>
    /// <param name="file">The file that it is in, for messages.</param>
    /// <returns>The configuration; null where the model is not quantised. <c>fp8</c> for a model that is not quantises it after the load.</returns>
    /// <exception cref="ArgumentException">The method that is asked for is not known, not the model's, or needs a quantised model.</exception>
    /// <exception cref="UnsupportedCheckpointException">The model's method is not known or not supported.</exception>
    /// <exception cref="InvalidCheckpointException">The configuration is not what it must be.</exception>
    public static QuantizationConfig? Read(JsonElement config, string? asked = null, string? file = null)
    {
        var method = asked is null ? null : Get(asked);
        if (FindIn(config) is not { } found)
        {
            return method is null ? null
                : method.Name == "fp8" ? Fp8Config.Online()
                : throw new ArgumentException(
                    $"Quantisation {method.Name} is asked for, and the model's configuration has no quantization_config: it is not quantised so. Only fp8 is made of unquantised weights.", nameof(asked));
        }

        var fields = new QuantizationFields(found.Config, found.Where, file);
        var name = fields.Text("quant_method") ?? (found.Where == "compression_config" ? "compressed-tensors" : throw fields.Wrong("quant_method", "the name of a quantisation method", null));
        var own = Find(name) ?? throw new UnsupportedCheckpointException(
            $"quantisation {Quoted.Plain(name)}", file, $"{found.Where} says quantisation method {Quoted.Name(name)}, which is not known here; known are {string.Join(", ", Names)}");
        if (method is not null && Family(method.Name) != Family(own.Name))
        {
            throw new ArgumentException($"Quantisation {method.Name} is asked for, and the model's configuration says {own.Name}.", nameof(asked));
        }

        return own.Read(found.Config, file);
    }

    /// <summary>What a configuration calls its method, whether or not it is known here; null where it names none.</summary>
    internal static string? NameIn(JsonElement config) => FindIn(config) is not { } found ? null
        : found.Config.TryGetProperty("quant_method", out var name) && name.ValueKind == JsonValueKind.String ? name.GetString()
        : found.Where == "compression_config" ? "compressed-tensors"
        : "a method without a name";

    private static QuantizationMethod? Find(string name) => ByName.GetValueOrDefault(name.ToLowerInvariant().Replace("compressed_tensors", "compressed-tensors", StringComparison.Ordinal));

    // Marlin's is another kernel for the same checkpoints.
    private static string Family(string name) => name.Replace("_marlin", "", StringComparison.Ordinal);

    private static (JsonElement Config, string Where)? FindIn(JsonElement config)
    {
        foreach (var name in (string[])["quantization_config", "compression_config"])
        {
            if (Find(config, name) is { } own)
            {
                return (own, name);
            }

            // Models of several parts say it of their text model.
            if (Find(config, "text_config") is { } text && Find(text, name) is { } ofText)
            {
                return (ofText, name);
            }
        }

        return null;
    }

    private static JsonElement? Find(JsonElement config, string name) =>
        config.ValueKind == JsonValueKind.Object && config.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object ? value : null;
}
