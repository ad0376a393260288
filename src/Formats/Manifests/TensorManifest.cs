using System.Collections.Immutable;
using System.Text;
using System.Text.Json;

namespace IlgpuLoader.Formats;

/// <summary>
/// The SHA-256, dtype and shape of every tensor of a checkpoint, kept apart from it, so that a later load can tell whether
/// it got the same bytes. It depends on the content only, not on files and shards. Immutable and safe for any thread.
/// </summary>
/// <remarks>The file is JSON: <c>{"schema": "ilgpu-loader/manifest/1", "tensors": {NAME: {"dtype", "shape", "sha256"}}}</c>.</remarks>
public sealed class TensorManifest
{
    private const string Schema = "ilgpu-loader/manifest/1";

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
        var content = await SideFile.ReadAsync(path, ManifestJson.MaximumBytes, ManifestJson.LimitName, cancellationToken).ConfigureAwait(false);
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
        ManifestJson.WriteEntries(buffer, Entries);
        buffer.Write("\n}}\n"u8);
        if (buffer.Length > ManifestJson.MaximumBytes)
        {
            throw new CheckpointLimitException("manifest's length", buffer.Length, ManifestJson.MaximumBytes, ManifestJson.LimitName, path);
        }

        await AtomicFile.WriteAllBytesAsync(path, buffer.ToArray(), overwrite: true, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Checks that a manifest can be written under a path: a slip of the keyboard must not take a checkpoint, or whatever else is
    /// there. <see cref="WriteAsync"/> checks it too; before long work it is known sooner.
    /// </summary>
    /// <exception cref="ArgumentException">The path is empty, or an address.</exception>
    /// <exception cref="IOException">Something is there that is no manifest, or nothing can be written there.</exception>
    public static async Task EnsureReplaceableAsync(string path, CancellationToken cancellationToken = default)
    {
        OutputPath.ThrowIfNoPath(path);
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

        return ManifestJson.ReadEntries(path, tensors);
    }

    private static InvalidCheckpointException Invalid(string path, string problem, Exception? inner = null) =>
        ManifestJson.Invalid(path, problem, inner);
}
