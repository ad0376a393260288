using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>The checkpoints that loads are measured with, written by the run itself.</summary>
internal static class BenchData
{
    /// <summary>A bf16 checkpoint of a Llama's tensors in four shards, of about a size.</summary>
    public static async Task<string> WriteBf16Async(string folder, double gibibytes)
    {
        var path = Path.Combine(folder, "bf16");
        // The vocabulary and the width of an 8B model, or of a small one where they alone would be too much.
        var options = gibibytes >= 6
            ? new LlamaOptions { Hidden = 4096, Heads = 32, KeyValueHeads = 8, Vocabulary = 128_256, Shards = 4 }
            : new LlamaOptions { Hidden = 512, Heads = 8, KeyValueHeads = 4, Vocabulary = 8192, Shards = 4 };
        long hidden = options.Hidden;
        var layer = (3 * hidden * options.IntermediateSize) + (2 * hidden * hidden) + (2 * hidden * hidden / options.Heads * options.KeyValueHeads);
        var layers = ((gibibytes * (1L << 30) / 2) - (2.0 * options.Vocabulary * hidden)) / layer;
        await LlamaSynthesizer.WriteAsync(path, options with { Layers = Math.Max(1, (int)Math.Round(layers)) });
        return path;
    }

    /// <summary>A GGUF file of Q4_K tensors with the shape of a wide layer's, of about a size as stored. Its scales are finite.</summary>
    public static async Task<string> WriteQ4KAsync(string folder, double gibibytes)
    {
        var shape = gibibytes >= 1 ? new Shape(14_336, 4096) : new Shape(2048, 1024);
        var bytes = DType.Q4_K.ByteCount(shape.ElementCount);
        var count = Math.Max(1, (int)Math.Round(gibibytes * (1L << 30) / bytes));
        var path = Path.Combine(folder, "q4_k.gguf");
        var tensors = Enumerable.Range(0, count).Select(i => new GgufTensor($"blk.{i}.ffn_up.weight", DType.Q4_K, shape));
        await using var writer = await GgufWriter.CreateAsync(path, tensors, [new("general.architecture", "llama")]);
        var pattern = Blocks((4 << 20) / DType.Q4_K.BlockSize);
        await Parallel.ForEachAsync(writer.Tensors, async (tensor, token) =>
        {
            for (long offset = 0; offset < bytes; offset += pattern.Length)
            {
                await writer.WriteAsync(tensor.Name, offset, pattern.AsMemory(0, (int)Math.Min(pattern.Length, bytes - offset)), token);
            }
        });
        await writer.CommitAsync();
        return path;
    }

    /// <summary>Reads files once, so that they are in the page cache.</summary>
    public static async Task ReadAsync(IEnumerable<string> files)
    {
        foreach (var path in files)
        {
            await using var file = File.OpenRead(path);
            await file.CopyToAsync(Stream.Null, 4 << 20);
        }
    }

    // Random quants; the two scales a block begins with are halves in [0, 1/16).
    private static byte[] Blocks(int count)
    {
        var blocks = new byte[count * DType.Q4_K.BlockSize];
        new Random(1).NextBytes(blocks);
        var scales = new byte[count * 4];
        RandomFill.Uniform(scales, DType.F16, 0, 1, 0, 1f / 16);
        for (var i = 0; i < count; i++)
        {
            scales.AsSpan(i * 4, 4).CopyTo(blocks.AsSpan(i * DType.Q4_K.BlockSize));
        }

        return blocks;
    }
}
