namespace IlgpuLoader.Formats.Numpy;

/// <summary>What is accepted from NumPy files. Immutable.</summary>
public sealed record NumpyLimits
{
    /// <summary>The default largest header of an array in bytes: NumPy's own (<c>max_header_size</c> of <c>numpy.load</c>).</summary>
    public const int DefaultMaximumHeaderBytes = 10_000;

    /// <summary>The defaults.</summary>
    public static NumpyLimits Default { get; } = new();

    /// <summary>The largest header of an array in bytes.</summary>
    public int MaximumHeaderBytes
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(value, 1);
            field = value;
        }
    } = DefaultMaximumHeaderBytes;
}
