using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Formats.Torch;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>Made-up checkpoints: the same bytes each time.</summary>
internal static class CheckpointFiles
{
    private const int Tokens = 150_000;

    /// <summary>A safetensors file of tensors with names as mixtures of experts have them.</summary>
    public static async Task<string> SafetensorsAsync(CheckpointFolder folder, int count, DType dtype, Shape shape)
    {
        var path = PathOf(folder, $"{count}.safetensors");
        await using var writer = await SafetensorsWriter.CreateAsync(
            path, Names(count).Select(name => new SafetensorsTensor(name, dtype, shape)));
        await FillAsync(writer, Names(count), dtype.ByteCount(shape.ElementCount));
        return path;
    }

    /// <summary>The same as a PyTorch file.</summary>
    public static async Task<string> TorchAsync(CheckpointFolder folder, int count, DType dtype, Shape shape)
    {
        var path = PathOf(folder, $"{count}.pt");
        await using var writer = TorchWriter.Create(path, Names(count).Select(name => new TorchTensor(name, dtype, shape)));
        await FillAsync(writer, Names(count), dtype.ByteCount(shape.ElementCount));
        return path;
    }

    /// <summary>A GGUF file with a vocabulary as the models of 2024 have it: tokens, scores, types and merges.</summary>
    public static async Task<string> VocabularyAsync(CheckpointFolder folder)
    {
        var path = PathOf(folder, "vocabulary.gguf");
        KeyValuePair<string, object>[] metadata =
        [
            new("general.architecture", "llama"),
            new("tokenizer.ggml.tokens", GgufArray.Create([.. Enumerable.Range(0, Tokens).Select(i => $"token{i}")])),
            new("tokenizer.ggml.scores", GgufArray.Create(new float[Tokens])),
            new("tokenizer.ggml.token_type", GgufArray.Create(new int[Tokens])),
            new("tokenizer.ggml.merges", GgufArray.Create([.. Enumerable.Range(0, 2 * Tokens).Select(i => $"to{i} ken{i}")])),
        ];
        string[] names = [.. Enumerable.Range(0, 300).Select(i => $"blk.{i}.attn_q.weight")];
        await using var writer = await GgufWriter.CreateAsync(
            path, names.Select(name => new GgufTensor(name, DType.Q8_0, new Shape(4, 32))), metadata);
        await FillAsync(writer, names, DType.Q8_0.ByteCount(4 * 32));
        return path;
    }

    private static string PathOf(CheckpointFolder folder, string name) => Path.Combine(folder.Path, name);

    private static string[] Names(int count) =>
        [.. Enumerable.Range(0, count).Select(i => $"model.layers.{i / 10}.block_sparse_moe.w{i % 10}.weight")];

    private static async Task FillAsync(ITensorWriter writer, string[] names, long bytes)
    {
        var ones = new byte[bytes];
        ones.AsSpan().Fill(1);
        foreach (var name in names)
        {
            await writer.WriteAsync(name, 0, ones, default);
        }

        await writer.CommitAsync(default);
    }
}
