using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Formats;

/// <summary>
/// The SHA-256, dtype and shape of every tensor of a checkpoint, kept apart from it, so that a later load can tell whether
/// it got the same bytes. It depends on the content only, not on files and shards. Immutable and safe for any thread.
/// </summary>
/// <remarks>The file is JSON: <c>{"schema": "ilgpu-loader/manifest/1", "tensors": {NAME: {"dtype", "shape", "sha256"}}}</c>.</remarks>
public sealed class TensorManifest
{
    private const string Schema = "ilgpu-loader/manifest/1";
    private const int HashDigits = 64;

    // The largest header that readers accept names 1.2 million tensors, whose lines here take about 200 bytes each; ten such
    // files together stay below what one array can hold.
    private const long MaximumBytes = 2_000_000_000;
    private const string LimitName = "the number of manifests, one a part of the checkpoint (--include)";

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    /// <summary>Makes a manifest of entries by name.</summary>
    /// <exception cref="ArgumentException">A name occurs twice with different entries.</exception>
    public TensorManifest(IEnumerable<KeyValuePair<string, ManifestEntry>> entries) =>
        Entries = entries.ToImmutableSortedDictionary(StringComparer.Ordinal);

    /// <summary>The entries by the tensors' names, in ordinal order.</summary>
    public ImmutableSortedDictionary<string, ManifestEntry> Entries { get; }

    /// <summary>Reads a manifest.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">It is no manifest, or an entry is broken; the message names it.</exception>
    /// <exception cref="CheckpointLimitException">It is larger than any manifest.</exception>
    public static async Task<TensorManifest> ReadAsync(string path, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var content = await SideFile.ReadAsync(path, MaximumBytes, LimitName, cancellationToken).ConfigureAwait(false);
        try
        {
            using var document = JsonDocument.Parse(content, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return Parse(path, document.RootElement);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            throw Invalid(path, $"it is not valid: {Quoted.Plain(exception.Message)}", exception);
        }
    }

    /// <summary>Writes the manifest; the file appears whole or not at all, and replaces a manifest that is there.</summary>
    /// <exception cref="IOException">It cannot be written, or something is there that is no manifest.</exception>
    /// <exception cref="CheckpointLimitException">It is longer than this class would read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be written.</exception>
    public async Task WriteAsync(string path, CancellationToken cancellationToken = default)
    {
        await EnsureReplaceableAsync(path, cancellationToken).ConfigureAwait(false);
        // A line a tensor, so that manifests can be searched and compared by lines.
        using var buffer = new MemoryStream();
        buffer.Write(Encoding.UTF8.GetBytes($"{{\"schema\": \"{Schema}\",\n\"tensors\": {{"));
        var separator = "\n"u8;
        foreach (var (name, entry) in Entries)
        {
            buffer.Write(separator);
            buffer.Write(Encoding.UTF8.GetBytes($"\"{JsonEncodedText.Encode(name, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\": "));
            WriteEntry(buffer, entry);
            separator = ",\n"u8;
        }

        buffer.Write("\n}}\n"u8);
        if (buffer.Length > MaximumBytes)
        {
            throw new CheckpointLimitException("manifest's length", buffer.Length, MaximumBytes, LimitName, path);
        }

        await AtomicFile.WriteAllBytesAsync(path, buffer.ToArray(), overwrite: true, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Checks that a manifest can be written under a path: a slip of the keyboard must not take a checkpoint, or whatever else is
    /// there. <see cref="WriteAsync"/> checks it too; before long work it is known sooner.
    /// </summary>
    /// <exception cref="IOException">Something is there that is no manifest, or nothing can be written there.</exception>
    public static async Task EnsureReplaceableAsync(string path, CancellationToken cancellationToken = default)
    {
        var full = OutputPath.ResolveFile(path);
        OutputPath.CheckFile(full, overwrite: true);
        if (!Directory.Exists(Path.GetDirectoryName(full)))
        {
            throw new DirectoryNotFoundException($"{path}: the folder {Path.GetDirectoryName(full)} does not exist; make it first.");
        }

        if (!File.Exists(path))
        {
            return;
        }

        try
        {
            _ = await ReadAsync(path, cancellationToken).ConfigureAwait(false);
        }
        catch (CheckpointException exception)
        {
            throw new IOException($"{path}: this already exists, is no manifest, and would be replaced; choose another name or remove it first.", exception);
        }
    }

    private static void WriteEntry(Stream output, ManifestEntry entry)
    {
        using var json = new Utf8JsonWriter(output);
        json.WriteStartObject();
        json.WriteString("dtype"u8, entry.DType.Name);
        json.WriteStartArray("shape"u8);
        foreach (var dimension in entry.Shape)
        {
            json.WriteNumberValue(dimension);
        }

        json.WriteEndArray();
        json.WriteString("sha256"u8, entry.Sha256);
        json.WriteEndObject();
    }

    private static TensorManifest Parse(string path, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("schema", out var schema)
            || schema.ValueKind != JsonValueKind.String
            || schema.GetString() != Schema
            || !root.TryGetProperty("tensors", out var tensors)
            || tensors.ValueKind != JsonValueKind.Object)
        {
            throw Invalid(path, $"it is no manifest: a JSON object with the schema '{Schema}' and the object 'tensors' was expected; make one with 'hash --write'.");
        }

        return new TensorManifest(tensors.EnumerateObject().Select(entry => KeyValuePair.Create(entry.Name, ParseEntry(path, entry))));
    }

    private static ManifestEntry ParseEntry(string path, JsonProperty entry)
    {
        if (entry.Value.ValueKind == JsonValueKind.Object
            && entry.Value.TryGetProperty("dtype", out var name)
            && name.ValueKind == JsonValueKind.String
            && DType.TryFromName(name.GetString(), out var dtype)
            && entry.Value.TryGetProperty("shape", out var sizes)
            && TryGetShape(sizes, out var shape)
            && entry.Value.TryGetProperty("sha256", out var hash)
            && hash.ValueKind == JsonValueKind.String
            && hash.GetString() is { Length: HashDigits } digits
            && !digits.AsSpan().ContainsAnyExcept(Digits))
        {
            return new ManifestEntry(dtype, shape, digits);
        }

        throw Invalid(path, "a dtype, a shape of sizes, and a sha256 of 64 lower-case hexadecimal digits were expected.", tensor: entry.Name);
    }

    private static bool TryGetShape(JsonElement sizes, out Shape shape)
    {
        shape = default;
        if (sizes.ValueKind != JsonValueKind.Array || sizes.GetArrayLength() > SafetensorsLimits.DefaultMaximumRank)
        {
            return false;
        }

        var dimensions = new long[sizes.GetArrayLength()];
        long elements = 1;
        for (var i = 0; i < dimensions.Length; i++)
        {
            if (sizes[i].ValueKind != JsonValueKind.Number || !sizes[i].TryGetInt64(out dimensions[i]) || dimensions[i] < 0)
            {
                return false;
            }

            // As a shape multiplies them, from the left.
            if (Math.BigMul(elements, dimensions[i], out elements) != 0 || elements < 0)
            {
                return false;
            }
        }

        shape = new Shape(dimensions);
        return true;
    }

    private static InvalidCheckpointException Invalid(string path, string problem, Exception? inner = null, string? tensor = null) =>
        new(CheckpointErrorCode.ManifestInvalid, path, problem, format: "manifest", tensor: tensor, innerException: inner);
}
