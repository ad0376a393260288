namespace IlgpuLoader.Formats.Zip;

/// <summary>What is accepted from zip archives, which PyTorch files and <c>.npz</c> files are. Immutable.</summary>
/// <remarks>
/// Together the defaults keep what opening an archive takes within its size and 64 MiB: an entry of 76 bytes in the file and of
/// twice its name becomes an object of some 180 bytes and twice its name.
/// </remarks>
public sealed record ZipLimits
{
    /// <summary>
    /// The default for the entries of one archive: twice what is allowed as tensors of a GGUF file, since a checkpoint that is
    /// trained has two more tensors a weight, and the largest are split into files.
    /// </summary>
    public const int DefaultMaximumEntries = 262_144;

    /// <summary>The default for the directory in bytes, 32 MiB: 128 an entry, and PyTorch's entries have 60.</summary>
    public const long DefaultMaximumDirectoryBytes = 32L << 20;

    /// <summary>
    /// The default for a compressed record in bytes once it is inflated, 32 MiB: PyTorch compresses nothing, and who compressed
    /// a checkpoint afterwards compressed its pickle of a few megabytes. A bomb is a thousand times the size of its file, so
    /// that only a number apart from that size bounds it.
    /// </summary>
    public const long DefaultMaximumInflatedBytes = 32L << 20;

    /// <summary>The defaults.</summary>
    public static ZipLimits Default { get; } = new();

    /// <summary>The most entries of one archive.</summary>
    public int MaximumEntries
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = DefaultMaximumEntries;

    /// <summary>The largest directory in bytes; it is held in memory while it is read.</summary>
    public long MaximumDirectoryBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, ZipConstants.CentralBytes);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength);
            field = value;
        }
    } = DefaultMaximumDirectoryBytes;

    /// <summary>The largest compressed record that is inflated into memory, in bytes of what it becomes.</summary>
    public long MaximumInflatedBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength);
            field = value;
        }
    } = DefaultMaximumInflatedBytes;
}
