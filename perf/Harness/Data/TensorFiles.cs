using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.Formats.Numpy;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Formats.Torch;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>The files that are measured with: made once by the library's own writers, and kept between runs.</summary>
internal static class TensorFiles
{
    // The tensors of the files of float32.
    private const int FloatTensors = 256;

    // 4 KiB of float32.
    private const int SmallElements = 1024;

    private const int QuantisedTensors = 16;

    /// <summary>A bf16 checkpoint of about the wanted size in four shards.</summary>
    public static async Task<string> LlamaAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        const int shards = 4;
        var folder = Path.Combine(options.DataFolder, DataFiles.Llama(options).Name);
        if (!Directory.Exists(folder))
        {
            options.Log.WriteLine($"writing {folder}");
            // A layer of hidden 2048 with half as many key and value heads has about 91 MiB, the embeddings 250 MiB; of hidden 512 6 and 16.
            var isLarge = options.Mebibytes >= 512;
            var (hidden, vocabulary, perLayer, rest) = isLarge ? (2048, 32000, 89, 250) : (512, 8000, 6, 16);
            var layers = Math.Max(1, (options.Mebibytes - rest) / perLayer);
            var size = new LlamaOptions { Layers = layers, Hidden = hidden, Heads = 16, KeyValueHeads = 8, Vocabulary = vocabulary, Shards = shards };
            await LlamaSynthesizer.WriteAsync(folder, size, cancellationToken: cancellationToken);
        }

        return folder;
    }

    /// <summary>A file of 10,000 tensors: as safetensors, with a header of about 1.1 MB, or as a PyTorch file.</summary>
    public static Task<string> ManyAsync(HarnessOptions options, string extension, CancellationToken cancellationToken) => WriteAsync(
        options,
        DataFiles.Many(extension).Name,
        [.. Enumerable.Range(0, 10_000).Select(i => $"model.layers.{i / 10}.block_sparse_moe.w{i % 10}.weight")],
        DType.BF16,
        new Shape(8, 16),
        cancellationToken);

    /// <summary>A file of float32 in 256 tensors: as safetensors, or as a PyTorch file.</summary>
    public static Task<string> FloatsAsync(HarnessOptions options, string extension, CancellationToken cancellationToken) => WriteAsync(
        options,
        DataFiles.Floats(options, extension).Name,
        [.. Enumerable.Range(0, FloatTensors).Select(i => $"model.layers.{i}.mlp.up_proj.weight")],
        DType.F32,
        new Shape(options.Mebibytes, (1 << 20) / FloatTensors / sizeof(float)),
        cancellationToken);

    /// <summary>A file of one tensor of float32, as NumPy has it.</summary>
    public static async Task<string> NumpyAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var path = Path.Combine(options.DataFolder, DataFiles.Floats(options, ".npy").Name);
        if (!File.Exists(path))
        {
            options.Log.WriteLine($"writing {path}");
            Directory.CreateDirectory(options.DataFolder);
            var shape = new Shape(options.Mebibytes, (1 << 20) / sizeof(float));
            await using var writer = await NpyWriter.CreateAsync(path, new NumpyTensor("array", DType.F32, shape), cancellationToken: cancellationToken);
            await FillAsync(writer, ["array"], DType.F32, shape, cancellationToken);
        }

        return path;
    }

    /// <summary>How many tensors of 4 KiB are measured.</summary>
    public static int SmallCount(HarnessOptions options) => (int)Math.Clamp(100_000L * options.Mebibytes / 1024, 1000, 100_000);

    /// <summary>Tensors of 4 KiB: 100,000 of them in a gibibyte's worth of options, never fewer than 1000.</summary>
    public static async Task<(string Path, int Count)> SmallAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var count = SmallCount(options);
        var path = await WriteAsync(
            options, DataFiles.Small(options).Name, [.. Enumerable.Range(0, count).Select(i => $"t{i:D6}")], DType.F32, new Shape(SmallElements), cancellationToken);
        return (path, count);
    }

    /// <summary>A GGUF file of a block type, a quarter of the wanted size: to float32 it becomes up to seven times as much.</summary>
    public static Task<string> QuantisedAsync(HarnessOptions options, DType dtype, CancellationToken cancellationToken)
    {
        const long row = 4096;
        var rows = Math.Max(1, options.Mebibytes * (1L << 20) / 4 / QuantisedTensors / dtype.ByteCount(row));
        return WriteAsync(
            options,
            DataFiles.Quantised(options, dtype).Name,
            [.. Enumerable.Range(0, QuantisedTensors).Select(i => $"blk.{i}.ffn_up.weight")],
            dtype,
            new Shape(rows, row),
            cancellationToken);
    }

    /// <summary>Row-parallel weights (cut along their last dimension) with rows of so many elements.</summary>
    public static Task<string> RowsAsync(HarnessOptions options, DType dtype, long rowElements, CancellationToken cancellationToken)
    {
        const int tensors = 8;
        var rows = Math.Max(1, options.Mebibytes * (1L << 20) / tensors / dtype.ByteCount(rowElements));
        return WriteAsync(
            options,
            DataFiles.Rows(options, dtype, rowElements).Name,
            [.. Enumerable.Range(0, tensors).Select(i => dtype.IsBlock ? $"blk.{i}.ffn_down.weight" : $"model.layers.{i}.mlp.down_proj.weight")],
            dtype,
            new Shape(rows, rowElements),
            cancellationToken);
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
        var path = Path.Combine(options.DataFolder, DataFiles.Vocabulary.Name);
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
            await FillAsync(writer, [.. writer.Tensors.Select(tensor => tensor.Name)], DType.Q8_0, new Shape(4, 32), cancellationToken);
        }

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
        await using ITensorWriter writer = Path.GetExtension(name) switch
        {
            ".pt" => TorchWriter.Create(path, tensors.Select(tensor => new TorchTensor(tensor, dtype, shape))),
            ".gguf" => await GgufWriter.CreateAsync(
                path,
                tensors.Select(tensor => new GgufTensor(tensor, dtype, shape)),
                [new KeyValuePair<string, object>("general.architecture", "llama")],
                cancellationToken: cancellationToken),
            _ => await SafetensorsWriter.CreateAsync(
                path, tensors.Select(tensor => new SafetensorsTensor(tensor, dtype, shape)), cancellationToken: cancellationToken),
        };
        await FillAsync(writer, tensors, dtype, shape, cancellationToken);
        return path;
    }

    private static async Task FillAsync(ITensorWriter writer, string[] tensors, DType dtype, Shape shape, CancellationToken cancellationToken)
    {
        var total = dtype.ByteCount(shape.ElementCount);
        // Whole blocks of every type: 4096 of them.
        var piece = BlockBytes.Of(dtype, Math.Min(total, 4096L * dtype.BlockSize));
        foreach (var tensor in tensors)
        {
            for (long done = 0; done < total; done += piece.Length)
            {
                await writer.WriteAsync(tensor, done, piece.AsMemory(0, (int)Math.Min(piece.Length, total - done)), cancellationToken);
            }
        }

        await writer.CommitAsync(cancellationToken);
    }
}
