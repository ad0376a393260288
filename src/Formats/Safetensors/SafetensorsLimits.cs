namespace IlgpuLoader.Formats.Safetensors;

/// <summary>What the reader accepts from a file that is not trusted. Immutable.</summary>
public sealed record SafetensorsLimits
{
    /// <summary>The reference's cap on the header: 100,000,000 bytes, decimal (tensor.rs, MAX_HEADER_SIZE).</summary>
    public const long DefaultMaximumHeaderBytes = 100_000_000;

    /// <summary>
    /// The default for dimensions of one tensor: PyTorch and NumPy hold at most 64. The reference has no limit of its own,
    /// and a header of 100 MB could name 50 million.
    /// </summary>
    public const int DefaultMaximumRank = 256;

    /// <summary>The defaults.</summary>
    public static SafetensorsLimits Default { get; } = new();

    /// <summary>
    /// The largest header in bytes, checked before anything is allocated. Default
    /// <see cref="DefaultMaximumHeaderBytes"/>; at most 2,147,483,591, the largest array.
    /// </summary>
    public long MaximumHeaderBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 2);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength);
            field = value;
        }
    } = DefaultMaximumHeaderBytes;

    /// <summary>The most dimensions of one tensor. Default <see cref="DefaultMaximumRank"/>.</summary>
    public int MaximumRank
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            field = value;
        }
    } = DefaultMaximumRank;

    /// <summary>
    /// Whether a NUL character in a tensor name or in the metadata is refused, as the reference does in its newest version.
    /// Default true; older files may need false.
    /// </summary>
    public bool RefuseNul { get; init; } = true;
}
