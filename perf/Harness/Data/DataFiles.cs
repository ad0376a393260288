using IlgpuLoader.Formats;

namespace IlgpuLoader.Harness;

/// <summary>What the files of <see cref="TensorFiles"/> take of the disk, about.</summary>
internal static class DataFiles
{
    // What formats need beside tensors of this size.
    private const long Header = 1 << 20;

    /// <summary>The bf16 checkpoint.</summary>
    public static DataFile Llama(HarnessOptions options) => new($"llama-bf16-{options.Mebibytes}m", Size(options));

    /// <summary>Float32 in one file: .safetensors, .pt, .legacy.pt or .npy.</summary>
    public static DataFile Floats(HarnessOptions options, string extension) => new($"floats-{options.Mebibytes}m{extension}", Size(options));

    /// <summary>10,000 tensors.</summary>
    public static DataFile Many(string extension) => new($"ten-thousand{extension}", 5_000_000);

    /// <summary>A vocabulary in a GGUF file.</summary>
    public static DataFile Vocabulary { get; } = new("vocabulary.gguf", 12_000_000);

    /// <summary>Tensors of 4 KiB, whose names and shapes take some 80 bytes each.</summary>
    public static DataFile Small(HarnessOptions options)
    {
        var count = TensorFiles.SmallCount(options);
        return new($"small-{count}.safetensors", count * (4096L + 80));
    }

    /// <summary>A GGUF file of a block type.</summary>
    public static DataFile Quantised(HarnessOptions options, DType dtype) =>
        new($"{dtype.Name.ToLowerInvariant()}-{options.Mebibytes / 4}m.gguf", Size(options) / 4);

    /// <summary>Weights with rows of so many elements.</summary>
    public static DataFile Rows(HarnessOptions options, DType dtype, long rowElements) => new(
        $"rows-{dtype.Name.ToLowerInvariant()}-{rowElements}-{options.Mebibytes}m{(dtype.IsBlock ? ".gguf" : ".safetensors")}", Size(options));

    private static long Size(HarnessOptions options) => (options.Mebibytes * (1L << 20)) + Header;
}
