using System.Text.Json;

namespace IlgpuLoader.Formats;

/// <summary>
/// The index of a sharded checkpoint (<c>model.safetensors.index.json</c>): which file holds which tensor. Names of
/// shards are plain base names of the index's own folder; anything else is refused (formats.md 1.6).
/// </summary>
internal sealed class ShardIndex
{
    private ShardIndex(string path, Dictionary<string, string> shardOf, long? totalSize)
    {
        Path = path;
        ShardOf = shardOf;
        TotalSize = totalSize;
    }

    /// <summary>The index file.</summary>
    public string Path { get; }

    /// <summary>The shard's base name for each tensor.</summary>
    public IReadOnlyDictionary<string, string> ShardOf { get; }

    /// <summary>The sum of all tensors in bytes as the index claims it; often wrong, so only ever a warning.</summary>
    public long? TotalSize { get; }

    /// <summary>The shards' base names in natural order.</summary>
    public IReadOnlyList<string> Shards => [.. ShardOf.Values.Distinct().Order(NaturalOrder.Instance)];

    /// <summary>Reads and validates an index.</summary>
    /// <exception cref="InvalidCheckpointException">It breaks a rule; the message names file and tensor.</exception>
    public static async Task<ShardIndex> ReadAsync(ICheckpointPlace place, string name, CheckpointOptions options, CancellationToken cancellationToken)
    {
        var path = place.PathOf(name);
        var json = await SideFile.ReadAsync(place, name, options, cancellationToken).ConfigureAwait(false);
        try
        {
            // A key given twice throws: System.Text.Json would keep the last, Python the last, others the first.
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return Parse(path, document.RootElement);
        }
        catch (JsonException exception)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.IndexInvalid, path, $"the index is not valid JSON: {Quoted.Plain(exception.Message)}", innerException: exception);
        }
        catch (InvalidOperationException exception)
        {
            // Text that is no text: half of a surrogate pair.
            throw new InvalidCheckpointException(
                CheckpointErrorCode.IndexInvalid, path, "a string of the index is not valid text.", innerException: exception);
        }
    }

    /// <summary>Holds the index against what its shards turned out to hold.</summary>
    /// <param name="byName">The tensors that count, by name.</param>
    /// <param name="tensors">The same in order.</param>
    /// <param name="warnings">Receives a wrong total.</param>
    /// <exception cref="InvalidCheckpointException">A tensor is not in the shard that the index names.</exception>
    public void Check(Dictionary<string, TensorInfo> byName, IReadOnlyCollection<TensorInfo> tensors, List<CheckpointWarning> warnings)
    {
        foreach (var (name, shard) in ShardOf)
        {
            if (!byName.ContainsKey(name))
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.ShardTensorMissing,
                    Path,
                    $"the index says it is in {Quoted.Name(shard)}, and it is not: index and shards are not of one checkpoint.",
                    tensor: name);
            }
        }

        // Writers count elements; with views, the storages behind them are what the files hold.
        var total = StoredSize.Of(tensors);
        if (TotalSize is { } claimed
            && claimed != total
            && claimed != ElementBytes(tensors))
        {
            warnings.Add(new CheckpointWarning(Path, $"total_size says {claimed} bytes, and the tensors have {total}."));
        }
    }

    // Views that repeat what is stored may have more bytes together than 64 bits count; no index claims so many.
    private static long ElementBytes(IReadOnlyCollection<TensorInfo> tensors)
    {
        var sum = tensors.Where(tensor => tensor.TiedTo is null).Aggregate(Int128.Zero, (sum, tensor) => sum + tensor.DataByteLength);
        return (long)Int128.Min(sum, long.MaxValue);
    }

    private static ShardIndex Parse(string path, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object
            || !root.TryGetProperty("weight_map", out var map)
            || map.ValueKind != JsonValueKind.Object)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.IndexInvalid, path, "an index must be a JSON object with an object 'weight_map', and has none.");
        }

        var shardOf = new Dictionary<string, string>();
        foreach (var property in map.EnumerateObject())
        {
            var shard = property.Value.ValueKind == JsonValueKind.String
                ? property.Value.GetString()!
                : throw new InvalidCheckpointException(
                    CheckpointErrorCode.IndexInvalid, path, "weight_map must hold file names as strings.", tensor: property.Name);
            if (!IsBaseName(shard))
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.IndexPathUnsafe,
                    path,
                    $"the shard {Quoted.Name(shard)} is not a plain file name: shards lie beside their index, and a path could lead anywhere.",
                    tensor: property.Name);
            }

            shardOf.Add(property.Name, shard);
        }

        return shardOf.Count > 0
            ? new ShardIndex(path, shardOf, ReadTotalSize(root))
            : throw new InvalidCheckpointException(CheckpointErrorCode.IndexInvalid, path, "weight_map is empty: the index names no file.");
    }

    // Path parts, drives and NUL are refused on every system, so that a checkpoint is valid everywhere or nowhere.
    private static bool IsBaseName(string name) =>
        name.Length > 0 && name is not ("." or "..") && !name.AsSpan().ContainsAny("/\\:\0");

    private static long? ReadTotalSize(JsonElement root) =>
        root.TryGetProperty("metadata", out var metadata)
        && metadata.ValueKind == JsonValueKind.Object
        && metadata.TryGetProperty("total_size", out var size)
        && size.ValueKind == JsonValueKind.Number
        && size.TryGetInt64(out var bytes)
            ? bytes
            : null;
}
