namespace IlgpuLoader.Formats.Gguf;

/// <summary>Fixed names and numbers of the format (ggml/include/gguf.h; formats.md section 2).</summary>
internal static class GgufConstants
{
    /// <summary>The format's name in messages and listings.</summary>
    public const string Format = "gguf";

    /// <summary>The file name's ending.</summary>
    public const string Extension = ".gguf";

    /// <summary>The newest version, and the one that is written.</summary>
    public const int Version = 3;

    /// <summary>The alignment of tensors where the metadata does not give one (GGUF_DEFAULT_ALIGNMENT).</summary>
    public const int DefaultAlignment = 32;

    /// <summary>The key of the alignment, a UINT32.</summary>
    public const string AlignmentKey = "general.alignment";

    /// <summary>The key of the model's architecture, such as <c>llama</c>.</summary>
    public const string ArchitectureKey = "general.architecture";

    /// <summary>
    /// The key of the type that most tensors have, a UINT32. llama.cpp shows it and computes nothing from it: 0 is F32, 1 F16,
    /// 32 BF16, the others name mixtures of block types (llama_ftype in llama.h).
    /// </summary>
    public const string FileTypeKey = "general.file_type";

    /// <summary>The key of a part's number in a split model, from 0.</summary>
    public const string SplitNumberKey = "split.no";

    /// <summary>The key of the number of parts of a split model.</summary>
    public const string SplitCountKey = "split.count";

    /// <summary>The key of the number of tensors in all parts of a split model.</summary>
    public const string SplitTensorsKey = "split.tensors.count";

    /// <summary>The most dimensions of a tensor (GGML_MAX_DIMS); ggml has arrays of this length, so it is no option.</summary>
    public const int MaximumRank = 4;

    /// <summary>The first four bytes of a file, of either byte order.</summary>
    public static ReadOnlySpan<byte> Magic => "GGUF"u8;
}
