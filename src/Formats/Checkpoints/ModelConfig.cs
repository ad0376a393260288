using System.Collections.Immutable;
using System.Text.Json;

namespace IlgpuLoader.Formats;

/// <summary>
/// The <c>config.json</c> beside a checkpoint: the whole document, and the fields most tools ask for. A field that is
/// missing or of another type is null. Immutable and safe for any thread.
/// </summary>
public sealed class ModelConfig
{
    private ModelConfig(string path, JsonElement root)
    {
        Path = path;
        Root = root;
    }

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The whole document.</summary>
    public JsonElement Root { get; }

    /// <summary>The architectures, such as <c>LlamaForCausalLM</c>; empty where there are none.</summary>
    public ImmutableArray<string> Architectures =>
        Root.TryGetProperty("architectures", out var names) && names.ValueKind == JsonValueKind.Array
            ? [.. names.EnumerateArray().Where(name => name.ValueKind == JsonValueKind.String).Select(name => name.GetString()!)]
            : [];

    /// <summary>The model type, such as <c>llama</c>.</summary>
    public string? ModelType => Text("model_type");

    /// <summary>The dtype that the configuration names, such as <c>bfloat16</c>.</summary>
    public string? TorchDType => Text("torch_dtype") ?? Text("dtype");

    /// <summary>The number of layers.</summary>
    public long? LayerCount => Number("num_hidden_layers") ?? Number("n_layer");

    /// <summary>The width of the residual stream.</summary>
    public long? HiddenSize => Number("hidden_size") ?? Number("n_embd");

    /// <summary>The number of attention heads.</summary>
    public long? HeadCount => Number("num_attention_heads") ?? Number("n_head");

    /// <summary>The number of key and value heads, where it differs from the attention heads.</summary>
    public long? KeyValueHeadCount => Number("num_key_value_heads");

    /// <summary>The size of the vocabulary.</summary>
    public long? VocabularySize => Number("vocab_size");

    /// <summary>The quantisation method, such as <c>gptq</c>.</summary>
    public string? QuantizationMethod =>
        Root.TryGetProperty("quantization_config", out var quantization)
        && quantization.ValueKind == JsonValueKind.Object
        && quantization.TryGetProperty("quant_method", out var method)
        && method.ValueKind == JsonValueKind.String
            ? method.GetString()
            : null;

    /// <summary>Reads a configuration from its bytes.</summary>
    /// <param name="path">The file, or what it is called in messages.</param>
    /// <param name="json">The whole document; it may be changed afterwards.</param>
    /// <exception cref="JsonException">The document is not a JSON object, or a string in it is not text.</exception>
    public static ModelConfig Parse(string path, ReadOnlyMemory<byte> json)
    {
        ArgumentNullException.ThrowIfNull(path);
        ThrowIfNotText(json.Span);
        using var document = JsonDocument.Parse(json);
        return document.RootElement.ValueKind == JsonValueKind.Object
            ? new ModelConfig(path, document.RootElement.Clone())
            : throw new JsonException("The document is not an object.");
    }

    /// <summary>The base name of the configuration beside a checkpoint.</summary>
    internal const string FileName = "config.json";

    /// <summary>Reads a configuration: a file, or the <c>config.json</c> of a folder, each local or at an address (<see cref="CheckpointOptions.Remote"/>).</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="options">Limits; null for the defaults.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    /// <exception cref="InvalidCheckpointException">The file is not a JSON object of text.</exception>
    /// <exception cref="CheckpointLimitException">The file is larger than the options allow.</exception>
    public static async Task<ModelConfig> OpenAsync(string path, CheckpointOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        options ??= CheckpointOptions.Default;
        var (place, name) = await CheckpointFolder.LocateAsync(path, null, options, cancellationToken).ConfigureAwait(false);
        var file = place.PathOf(name ?? FileName);
        try
        {
            return await ReadAsync(place, name ?? FileName, options, cancellationToken).ConfigureAwait(false);
        }
        catch (JsonException exception)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.ConfigInvalid, file, $"it is not a configuration: {exception.Message}", innerException: exception);
        }
    }

    /// <summary>Reads a configuration.</summary>
    /// <exception cref="JsonException">The file is not a JSON object, or a string in it is not text.</exception>
    internal static async Task<ModelConfig> ReadAsync(ICheckpointPlace place, string name, CheckpointOptions options, CancellationToken cancellationToken) =>
        Parse(place.PathOf(name), await SideFile.ReadAsync(place, name, options, cancellationToken).ConfigureAwait(false));

    // A document is parsed without looking into its strings; a broken one would throw later, from a property.
    private static void ThrowIfNotText(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json);
            while (reader.Read())
            {
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName)
                {
                    _ = reader.GetString();
                }
            }
        }
        catch (InvalidOperationException exception)
        {
            throw new JsonException("A string is not valid text.", exception);
        }
    }

    private string? Text(string name) =>
        Root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private long? Number(string name) =>
        Root.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number)
            ? number
            : null;
}
