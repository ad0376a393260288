using System.Numerics;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>What the reader accepts from a GGUF file that is not trusted. Immutable.</summary>
public sealed record GgufLimits
{
    /// <summary>
    /// The default for the whole header, 128 MiB: headers with large vocabularies have 5 to 30 MB, and a whole tokenizer.json
    /// in one adds as much again.
    /// </summary>
    public const long DefaultMaximumHeaderBytes = 128L << 20;

    /// <summary>
    /// The default for one string in bytes, 32 MiB: the largest that is known is a whole tokenizer.json under
    /// <c>tokenizer.huggingface.json</c>, of which Gemma's has 33 MB. ggml itself takes 1 GiB (GGUF_MAX_STRING_LENGTH).
    /// </summary>
    public const int DefaultMaximumStringBytes = 32 << 20;

    /// <summary>
    /// The default for tensors of one file: DeepSeek-V3 with one tensor an expert has 61 layers of 256 experts of 3, which is
    /// 46,848, and this is the power of two above twice that.
    /// </summary>
    public const int DefaultMaximumTensors = 131_072;

    /// <summary>The default for metadata entries of one file: a thousand times what models have.</summary>
    public const int DefaultMaximumKeys = 65_536;

    /// <summary>
    /// The default for the memory that a header takes beyond its own bytes, 48 MiB: with what is read ahead it stays within
    /// the 64 MiB that a file which is not trusted may cost. The largest string that is known takes 33 MB of it.
    /// </summary>
    public const long DefaultMaximumExpansionBytes = 48L << 20;

    /// <summary>The default for a metadata key in bytes: the specification's 2^16 - 1 (ggml/docs/gguf.md).</summary>
    public const int DefaultMaximumKeyBytes = 65_535;

    /// <summary>The default for a tensor name in bytes: one less than ggml's GGML_MAX_NAME, which counts the closing NUL.</summary>
    public const int DefaultMaximumNameBytes = 63;

    /// <summary>
    /// The default for the elements of one metadata array: thirty times the largest vocabulary, which has 262,144. ggml itself
    /// takes 2^30 (GGUF_MAX_ARRAY_ELEMENTS).
    /// </summary>
    public const int DefaultMaximumArrayLength = 1 << 23;

    /// <summary>
    /// The default for arrays in arrays. ggml reads none; candle, the reader that does, allows 64
    /// (candle-core/src/quantized/gguf_file.rs).
    /// </summary>
    public const int DefaultMaximumArrayDepth = 64;

    /// <summary>
    /// The default for the alignment: far above the 32 of almost all files and the 4,096 of those made for mapping, far below
    /// where padding to it could overflow (GHSA-96jg-mvhq-q7q7).
    /// </summary>
    public const int DefaultMaximumAlignment = 1 << 20;

    // ggml's GGUF_MAX_STRING_LENGTH and GGUF_MAX_ARRAY_ELEMENTS: what no limit needs to be raised beyond.
    private const int LargestOfGgml = 1 << 30;

    /// <summary>The defaults.</summary>
    public static GgufLimits Default { get; } = new();

    /// <summary>The largest header in bytes. Default <see cref="DefaultMaximumHeaderBytes"/>; at most the largest array.</summary>
    public long MaximumHeaderBytes
    {
        get;
        init => field = Checked(value, 24, Array.MaxLength);
    } = DefaultMaximumHeaderBytes;

    /// <summary>The longest string in bytes. Default <see cref="DefaultMaximumStringBytes"/>; at most ggml's 1 GiB.</summary>
    public int MaximumStringBytes
    {
        get;
        init => field = Checked(value, 0, LargestOfGgml);
    } = DefaultMaximumStringBytes;

    /// <summary>The most tensors of one file. Default <see cref="DefaultMaximumTensors"/>.</summary>
    public int MaximumTensors
    {
        get;
        init => field = Checked(value, 0, LargestOfGgml);
    } = DefaultMaximumTensors;

    /// <summary>The most metadata entries of one file. Default <see cref="DefaultMaximumKeys"/>.</summary>
    public int MaximumKeys
    {
        get;
        init => field = Checked(value, 0, LargestOfGgml);
    } = DefaultMaximumKeys;

    /// <summary>
    /// The most memory in bytes that a header may take beyond its own size: text has two bytes in memory for one in the file,
    /// lengths of version 1 have eight instead of four, and every tensor and metadata entry is an object. Default
    /// <see cref="DefaultMaximumExpansionBytes"/>.
    /// </summary>
    public long MaximumExpansionBytes
    {
        get;
        init => field = Checked(value, 0, long.MaxValue / 2);
    } = DefaultMaximumExpansionBytes;

    /// <summary>The longest metadata key in bytes. Default <see cref="DefaultMaximumKeyBytes"/>.</summary>
    public int MaximumKeyBytes
    {
        get;
        init => field = Checked(value, 1, LargestOfGgml);
    } = DefaultMaximumKeyBytes;

    /// <summary>
    /// The longest tensor name in bytes. Default <see cref="DefaultMaximumNameBytes"/>; programs that build ggml with another
    /// GGML_MAX_NAME write longer ones.
    /// </summary>
    public int MaximumNameBytes
    {
        get;
        init => field = Checked(value, 1, LargestOfGgml);
    } = DefaultMaximumNameBytes;

    /// <summary>The most elements of one metadata array. Default <see cref="DefaultMaximumArrayLength"/>; at most ggml's 2^30.</summary>
    public int MaximumArrayLength
    {
        get;
        init => field = Checked(value, 0, LargestOfGgml);
    } = DefaultMaximumArrayLength;

    /// <summary>
    /// How deep arrays may lie in arrays: 1 for arrays of plain values only. Default <see cref="DefaultMaximumArrayDepth"/>; at
    /// most 1,000, since reading one takes stack for every level.
    /// </summary>
    public int MaximumArrayDepth
    {
        get;
        init => field = Checked(value, 1, 1000);
    } = DefaultMaximumArrayDepth;

    /// <summary>The largest alignment in bytes. Default <see cref="DefaultMaximumAlignment"/>.</summary>
    public int MaximumAlignment
    {
        get;
        init => field = Checked(value, 1, 1 << 30);
    } = DefaultMaximumAlignment;

    /// <summary>
    /// Whether tensors may lie in any order and with holes between them, as long as each is aligned, within the file and
    /// overlaps no other. Default false: as ggml demands it, each begins right behind the padding of the one before.
    /// </summary>
    public bool Lenient { get; init; }

    private static T Checked<T>(T value, T minimum, T maximum)
        where T : INumber<T>
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(value, minimum);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(value, maximum);
        return value;
    }
}
