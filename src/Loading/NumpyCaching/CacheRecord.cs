using System.Text.Json;
using System.Text.Json.Serialization;

namespace IlgpuLoader.Loading;

/// <summary>What a cache says of itself: which files it was made from, and which tensor is in which file.</summary>
/// <param name="Version">1.</param>
/// <param name="Root">The part of the checkpoint that was asked for; null for all of it.</param>
/// <param name="Sources">The files it was made from.</param>
/// <param name="Tensors">The tensors; an alias behind the one that it is tied to.</param>
/// <param name="Id">Differs from one making to the next, so that a cache that replaced another is told from it; null in older ones.</param>
internal sealed record CacheRecord(int Version, string? Root, IReadOnlyList<CachedSource> Sources, IReadOnlyList<CachedTensor> Tensors, Guid? Id = null)
{
    /// <summary>The name of its file.</summary>
    public const string FileName = "ilgpu-loader.json";

    /// <summary>The version that is written, and the only one that is read.</summary>
    public const int CurrentVersion = 1;

    /// <summary>Reads a record; null where it is none of this version, so that the cache is made anew.</summary>
    public static async Task<CacheRecord?> ReadAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1 << 16, useAsync: true);
            await using (stream.ConfigureAwait(false))
            {
                var record = await JsonSerializer
                    .DeserializeAsync(stream, CacheJsonContext.Default.CacheRecord, cancellationToken).ConfigureAwait(false);
                return record is { Version: CurrentVersion, Sources: not null, Tensors: not null }
                    && record.Tensors.All(tensor => tensor is { Name: not null, File: not null, DType: not null }) ? record : null;
            }
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>How caches are written as JSON, without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(CacheRecord))]
[JsonSerializable(typeof(string[]))]
internal sealed partial class CacheJsonContext : JsonSerializerContext;
