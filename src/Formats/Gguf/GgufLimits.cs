using System.Numerics;

namespace IlgpuLoader.Formats.Gguf;

/// <summary>What the reader accepts from a GGUF file that is not trusted. Immutable.</summary>
public sealed record GgufLimits
{
    /// <summary>
    /// The default for the whole header: what ggml allows for a single string of it. Headers with large vocabularies have
    /// 5 to 30 MB.
    /// </summary>
    public const long DefaultMaximumHeaderBytes = 1L << 30;

    /// <summary>The default for one string in bytes: ggml's GGUF_MAX_STRING_LENGTH.</summary>
    public const int DefaultMaximumStringBytes = 1 << 30;

    /// <summary>The default for a metadata key in bytes: the specification's 2^16 - 1 (ggml/docs/gguf.md).</summary>
    public const int DefaultMaximumKeyBytes = 65_535;

    /// <summary>The default for a tensor name in bytes: one less than ggml's GGML_MAX_NAME, which counts the closing NUL.</summary>
    public const int DefaultMaximumNameBytes = 63;

    /// <summary>The default for the elements of one metadata array: ggml's GGUF_MAX_ARRAY_ELEMENTS.</summary>
    public const int DefaultMaximumArrayLength = 1 << 30;

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

    /// <summary>The defaults.</summary>
    public static GgufLimits Default { get; } = new();

    /// <summary>The largest header in bytes. Default <see cref="DefaultMaximumHeaderBytes"/>; at most the largest array.</summary>
    public long MaximumHeaderBytes
    {
        get;
        init => field = Checked(value, 24, Array.MaxLength);
    } = DefaultMaximumHeaderBytes;

    /// <summary>The longest string in bytes. Default <see cref="DefaultMaximumStringBytes"/>.</summary>
    public int MaximumStringBytes
    {
        get;
        init => field = Checked(value, 0, DefaultMaximumStringBytes);
    } = DefaultMaximumStringBytes;

    /// <summary>The longest metadata key in bytes. Default <see cref="DefaultMaximumKeyBytes"/>.</summary>
    public int MaximumKeyBytes
    {
        get;
        init => field = Checked(value, 1, DefaultMaximumStringBytes);
    } = DefaultMaximumKeyBytes;

    /// <summary>
    /// The longest tensor name in bytes. Default <see cref="DefaultMaximumNameBytes"/>; programs that build ggml with another
    /// GGML_MAX_NAME write longer ones.
    /// </summary>
    public int MaximumNameBytes
    {
        get;
        init => field = Checked(value, 1, DefaultMaximumStringBytes);
    } = DefaultMaximumNameBytes;

    /// <summary>The most elements of one metadata array. Default <see cref="DefaultMaximumArrayLength"/>.</summary>
    public int MaximumArrayLength
    {
        get;
        init => field = Checked(value, 0, Array.MaxLength);
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
