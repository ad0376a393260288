using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>The data that is measured with: made once, kept between runs.</summary>
internal static class Data
{
    /// <summary>A bf16 checkpoint of about the wanted size in four shards, in the page cache.</summary>
    public static async Task<string> CheckpointAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        const int shards = 4;
        var folder = Path.Combine(options.DataFolder, $"llama-bf16-{options.Gibibytes}g");
        if (!Directory.Exists(folder))
        {
            options.Log.WriteLine($"writing {folder}");
            // A layer of hidden 2048 with half as many key and value heads has about 91 MiB; the embeddings 250 MiB.
            var layers = Math.Max(1, (int)(((options.Gibibytes * 1024L) - 250) / 89));
            var size = new LlamaOptions { Layers = layers, Hidden = 2048, Heads = 16, KeyValueHeads = 8, Vocabulary = 32000, Shards = shards };
            await LlamaSynthesizer.WriteAsync(folder, size, cancellationToken: cancellationToken);
        }

        foreach (var path in Directory.EnumerateFiles(folder, "*.safetensors"))
        {
            await using var file = File.OpenRead(path);
            await file.CopyToAsync(Stream.Null, 1 << 20, cancellationToken);
        }

        return folder;
    }

    /// <summary>A file of 10,000 tensors: as safetensors, with a header of about 1.1 MB, or as a PyTorch file.</summary>
    public static Task<string> ManyTensorsAsync(HarnessOptions options, string extension, CancellationToken cancellationToken) => WriteAsync(
        options,
        "ten-thousand" + extension,
        [.. Enumerable.Range(0, 10_000).Select(i => $"model.layers.{i / 10}.block_sparse_moe.w{i % 10}.weight")],
        DType.BF16,
        new Shape(8, 16),
        cancellationToken);

    /// <summary>A file of 1 GiB of float32 in 256 tensors, in the page cache: as safetensors or as a PyTorch file.</summary>
    public static async Task<string> FloatsAsync(HarnessOptions options, string extension, CancellationToken cancellationToken)
    {
        var names = Enumerable.Range(0, 256).Select(i => $"model.layers.{i}.mlp.up_proj.weight").ToArray();
        var path = await WriteAsync(options, "floats-1g" + extension, names, DType.F32, new Shape(1024, 1024), cancellationToken);
        await using var file = File.OpenRead(path);
        await file.CopyToAsync(Stream.Null, 1 << 20, cancellationToken);
        return path;
    }

    private static async Task<string> WriteAsync(
        HarnessOptions options, string name, string[] tensors, DType dtype, Shape shape, CancellationToken cancellationToken)
    {
        var path = Path.Combine(options.DataFolder, name);
        if (File.Exists(path))
        {
            return path;
        }

        options.Log.WriteLine($"writing {path}");
        Directory.CreateDirectory(options.DataFolder);
        await using ITensorWriter writer = Path.GetExtension(name) == ".pt"
            ? TorchWriter.Create(path, tensors.Select(tensor => new TorchTensor(tensor, dtype, shape)))
            : await SafetensorsWriter.CreateAsync(
                path, tensors.Select(tensor => new SafetensorsTensor(tensor, dtype, shape)), cancellationToken: cancellationToken);
        var ones = new byte[dtype.ByteCount(shape.ElementCount)];
        ones.AsSpan().Fill(1);
        foreach (var tensor in tensors)
        {
            await writer.WriteAsync(tensor, 0, ones, cancellationToken);
        }

        await writer.CommitAsync(cancellationToken);
        return path;
    }

    /// <summary>
    /// A GGUF file with a vocabulary as the models of 2024 have it: 150,000 tokens with scores and types, 300,000 merges, and 300
    /// tensors; a header of about 10 MB.
    /// </summary>
    public static async Task<string> VocabularyAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        const int tokens = 150_000;
        const int merges = 300_000;
        const int count = 300;
        var path = Path.Combine(options.DataFolder, "vocabulary.gguf");
        if (!File.Exists(path))
        {
            Directory.CreateDirectory(options.DataFolder);
            KeyValuePair<string, object>[] metadata =
            [
                new("general.architecture", "llama"),
                new("tokenizer.ggml.tokens", GgufArray.Create([.. Enumerable.Range(0, tokens).Select(i => $"token{i}")])),
                new("tokenizer.ggml.scores", GgufArray.Create(new float[tokens])),
                new("tokenizer.ggml.token_type", GgufArray.Create(new int[tokens])),
                new("tokenizer.ggml.merges", GgufArray.Create([.. Enumerable.Range(0, merges).Select(i => $"to{i} ken{i}")])),
            ];
            var tensors = Enumerable.Range(0, count).Select(i => new GgufTensor($"blk.{i}.attn_q.weight", DType.Q8_0, new Shape(4, 32)));
            await using var writer = await GgufWriter.CreateAsync(path, tensors, metadata, cancellationToken: cancellationToken);
            var ones = new byte[DType.Q8_0.ByteCount(4 * 32)];
            ones.AsSpan().Fill(1);
            foreach (var tensor in writer.Tensors)
            {
                await writer.WriteAsync(tensor.Name, 0, ones, cancellationToken);
            }

            await writer.CommitAsync(cancellationToken);
        }

        return path;
    }
}
