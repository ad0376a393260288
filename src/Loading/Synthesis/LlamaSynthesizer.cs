using System.Text.Json;
using System.Text.Json.Nodes;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes a checkpoint with the names and shapes of a Llama model and reproducible pseudo-random values: something to
/// try, test and measure with, of any size, in bounded memory.
/// </summary>
public static class LlamaSynthesizer
{
    // Values in [-2^-5, 2^-5): the magnitude of trained weights, and exact in every float type that has the precision.
    private const float Bound = 1f / 32;

    // One piece of work a core at a time: large enough for the write to cost one call, small enough to stay cached.
    private const int PieceBytes = 4 << 20;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Writes the checkpoint: the folder appears whole or not at all.</summary>
    /// <param name="folder">Where the folder will appear.</param>
    /// <param name="options">The model's size and seed.</param>
    /// <param name="overwrite">Whether a folder that is there is replaced.</param>
    /// <param name="progress">Bytes and tensors written.</param>
    /// <param name="cancellationToken">Ends the work within one piece of 4 MiB; nothing is left behind.</param>
    /// <returns>The bytes of all tensors.</returns>
    /// <exception cref="ArgumentException">The sizes do not fit each other.</exception>
    /// <exception cref="IOException">The folder exists and is not replaced, or the disk is full.</exception>
    public static async Task<long> WriteAsync(
        string folder,
        LlamaOptions options,
        bool overwrite = false,
        IProgress<LoadProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        using var output = AtomicFolder.Create(folder, overwrite);
        var shards = LlamaLayout.Shards(options);
        var total = shards.SelectMany(shard => shard).Sum(tensor => tensor.DType.ByteCount(tensor.Shape.ElementCount));
        var tally = new ProgressTally(progress, total, shards.Sum(shard => shard.Count));
        var map = new Dictionary<string, string>();
        for (var i = 0; i < shards.Count; i++)
        {
            var name = ShardNames.OfShard(i, shards.Count);
            await WriteShardAsync(output, name, shards[i], options, tally, cancellationToken).ConfigureAwait(false);
            foreach (var tensor in shards[i])
            {
                map.Add(tensor.Name, name);
            }
        }

        if (shards.Count > 1)
        {
            await output.WriteAllBytesAsync(ShardNames.Index, ShardNames.WriteIndex(map, total), cancellationToken).ConfigureAwait(false);
        }

        await WriteJsonAsync(output, "config.json", Config(options), cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        output.Commit();
        return total;
    }

    /// <summary>How many tensors a checkpoint of these options has.</summary>
    public static int CountTensors(LlamaOptions options) => LlamaLayout.Tensors(options).Count();

    private static async Task WriteShardAsync(
        AtomicFolder output,
        string name,
        IReadOnlyList<SafetensorsTensor> tensors,
        LlamaOptions options,
        ProgressTally tally,
        CancellationToken cancellationToken)
    {
        var metadata = new Dictionary<string, string> { ["format"] = "pt" };
        var writer = await SafetensorsWriter.CreateAsync(output, name, tensors, metadata, cancellationToken).ConfigureAwait(false);
        await using (writer.ConfigureAwait(false))
        {
            await Parallel.ForEachAsync(
                writer.Tensors.SelectMany(Pieces),
                cancellationToken,
                async (piece, token) =>
                {
                    var buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(piece.Bytes);
                    try
                    {
                        var bytes = buffer.AsMemory(0, piece.Bytes);
                        var seed = RandomFill.SeedFor(options.Seed, piece.Tensor.Name);
                        RandomFill.Uniform(bytes.Span, piece.Tensor.DType, piece.Offset / piece.Tensor.DType.BlockSize, seed, -Bound, Bound);
                        await writer.WriteAsync(piece.Tensor.Name, piece.Offset, bytes, token).ConfigureAwait(false);
                    }
                    finally
                    {
                        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
                    }

                    tally.Add(piece.Bytes, piece.IsLast);
                }).ConfigureAwait(false);
            await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private static IEnumerable<Piece> Pieces(SafetensorsTensor tensor)
    {
        var total = tensor.DType.ByteCount(tensor.Shape.ElementCount);
        for (long done = 0; done < total; done += PieceBytes)
        {
            var bytes = (int)Math.Min(PieceBytes, total - done);
            yield return new Piece(tensor, done, bytes, done + bytes == total);
        }
    }

    private static JsonObject Config(LlamaOptions options) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["hidden_act"] = "silu",
        ["hidden_size"] = options.Hidden,
        ["intermediate_size"] = options.IntermediateSize,
        ["num_attention_heads"] = options.Heads,
        ["num_hidden_layers"] = options.Layers,
        ["num_key_value_heads"] = options.KeyValueHeads,
        ["rms_norm_eps"] = 1e-5,
        ["rope_theta"] = 10000.0,
        ["tie_word_embeddings"] = options.TieEmbeddings,
        ["torch_dtype"] = options.DType switch
        {
            DType.BF16 => "bfloat16",
            DType.F16 => "float16",
            DType.F64 => "float64",
            _ => "float32",
        },
        ["vocab_size"] = options.Vocabulary,
    };

    private static async Task WriteJsonAsync(AtomicFolder output, string name, JsonObject content, CancellationToken cancellationToken)
    {
        var text = content.ToJsonString(Indented) + "\n";
        await output.WriteAllBytesAsync(name, System.Text.Encoding.UTF8.GetBytes(text), cancellationToken).ConfigureAwait(false);
    }

    private readonly record struct Piece(SafetensorsTensor Tensor, long Offset, int Bytes, bool IsLast);
}
