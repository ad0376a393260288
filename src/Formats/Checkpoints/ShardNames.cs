using System.Text.Encodings.Web;
using System.Text.Json;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Formats;

/// <summary>
/// How the files of a sharded checkpoint are named and indexed, as transformers writes it and every loader reads it
/// (formats.md 1.6), for safetensors and PyTorch files, and how llama.cpp names the parts of a split GGUF model, which is the
/// same (formats.md 2.2). Reading an index is <see cref="Checkpoint.OpenAsync(string, CheckpointOptions?, CancellationToken)"/>'s business.
/// </summary>
public static class ShardNames
{
    /// <summary>The index of a checkpoint with several shards.</summary>
    public const string Index = Stem + SafetensorsExtension + IndexEnding;

    /// <summary>The index of a checkpoint with several shards that are PyTorch files.</summary>
    public const string TorchIndex = TorchStem + TorchExtension + IndexEnding;

    /// <summary>The ending of the names of safetensors files.</summary>
    public const string SafetensorsExtension = SafetensorsConstants.Extension;

    /// <summary>The ending of the names of GGUF files.</summary>
    public const string GgufExtension = GgufConstants.Extension;

    /// <summary>The ending of the names of PyTorch files in a folder (<c>WEIGHTS_NAME</c> in transformers/utils).</summary>
    public const string TorchExtension = ".bin";

    /// <summary>The ending of the names of archives of NumPy arrays.</summary>
    public const string NpzExtension = NumpyConstants.ArchiveExtension;

    private const string Stem = "model";

    // transformers' name for PyTorch files: before safetensors came, one ending served every framework.
    private const string TorchStem = "pytorch_model";

    private const string IndexEnding = ".index.json";

    private static readonly string[] Extensions = [SafetensorsExtension, GgufExtension, TorchExtension, NpzExtension];

    private static readonly JsonWriterOptions Options = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The name of a shard: <c>model-00001-of-00004.safetensors</c>, or <c>model.safetensors</c> for the only one.</summary>
    /// <remarks>PyTorch files are called <c>pytorch_model</c> instead.</remarks>
    /// <param name="index">Which shard, from 0.</param>
    /// <param name="count">How many there are.</param>
    /// <param name="extension">The ending of the names, such as <c>.safetensors</c>.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such shard.</exception>
    public static string OfShard(int index, int count, string extension = SafetensorsExtension)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, count);
        var stem = StemOf(extension);
        return count == 1 ? stem + extension : $"{stem}-{index + 1:D5}-of-{count:D5}{extension}";
    }

    /// <summary>Whether a file of this base name is one that a sharded checkpoint is written as: a shard, or the index.</summary>
    public static bool Includes(string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        const string between = "-of-";
        if (name is Index or TorchIndex)
        {
            return true;
        }

        if (Array.Find(Extensions, ending => name.EndsWith(ending, StringComparison.Ordinal)) is not { } extension)
        {
            return false;
        }

        var stem = StemOf(extension);
        if (name.Length == stem.Length + extension.Length && name.StartsWith(stem, StringComparison.Ordinal))
        {
            return true;
        }

        // Five digits and more, as many on both sides.
        var middle = name.IndexOf(between, StringComparison.Ordinal);
        var first = stem + "-";
        return name.StartsWith(first, StringComparison.Ordinal)
            && middle >= first.Length + 5
            && IsNumber(name.AsSpan(first.Length..middle))
            && name.Length - extension.Length - middle - between.Length >= 5
            && IsNumber(name.AsSpan((middle + between.Length)..^extension.Length));
    }

    /// <summary>The content of an index.</summary>
    /// <param name="shardOf">For each tensor, the base name of the file that holds it; written in ordinal order of the tensors.</param>
    /// <param name="totalBytes">The size of all tensors in bytes.</param>
    public static byte[] WriteIndex(IEnumerable<KeyValuePair<string, string>> shardOf, long totalBytes)
    {
        ArgumentNullException.ThrowIfNull(shardOf);
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Options))
        {
            json.WriteStartObject();
            json.WriteStartObject("metadata"u8);
            json.WriteNumber("total_size"u8, totalBytes);
            json.WriteEndObject();
            json.WriteStartObject("weight_map"u8);
            foreach (var (tensor, shard) in shardOf.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                json.WriteString(tensor, shard);
            }

            json.WriteEndObject();
            json.WriteEndObject();
        }

        buffer.WriteByte((byte)'\n');
        return buffer.ToArray();
    }

    private static string StemOf(string extension) => extension == TorchExtension ? TorchStem : Stem;

    private static bool IsNumber(ReadOnlySpan<char> text) => !text.ContainsAnyExceptInRange('0', '9');
}
