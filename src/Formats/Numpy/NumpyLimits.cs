namespace IlgpuLoader.Formats.Numpy;

/// <summary>What is accepted from NumPy files. Immutable.</summary>
public sealed record NumpyLimits
{
    /// <summary>The default largest header of an array in bytes: NumPy's own (<c>max_header_size</c> of <c>numpy.load</c>).</summary>
    public const int DefaultMaximumHeaderBytes = 10_000;

    /// <summary>The defaults.</summary>
    public static NumpyLimits Default { get; } = new();

    // What stands before the header of version 2 and 3: magic, version and length. All of it is held in one array.
    private const int PreambleBytes = 12;

    /// <summary>The largest header of an array in bytes; at most what an array can hold with the 12 bytes before it.</summary>
    public int MaximumHeaderBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, Array.MaxLength - PreambleBytes);
            field = value;
        }
    } = DefaultMaximumHeaderBytes;
}
