using System.Text.Json;

namespace IlgpuLoader.Loading;

/// <summary>A way in which checkpoints are quantised, and how its configuration is read. Immutable.</summary>
public sealed class QuantizationMethod
{
    private readonly Func<QuantizationFields, QuantizationConfig> _read;

    internal QuantizationMethod(string name, Func<QuantizationFields, QuantizationConfig> read) => (Name, _read) = (name, read);

    /// <summary>The name, such as <c>gptq</c>.</summary>
    public string Name { get; }

    /// <summary>Reads the configuration.</summary>
    /// <param name="config">The object <c>quantization_config</c> of a model's configuration.</param>
    /// <param name="file">The file that it is in, for messages.</param>
    /// <exception cref="IlgpuLoader.Formats.InvalidCheckpointException">A field is missing or of the wrong type.</exception>
    /// <exception cref="IlgpuLoader.Formats.UnsupportedCheckpointException">It says something that is not supported.</exception>
    public QuantizationConfig Read(JsonElement config, string? file = null) => _read(new QuantizationFields(config, "quantization_config", file));
}
