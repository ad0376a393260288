namespace IlgpuLoader.Gpu;

/// <summary>What one launch of <see cref="SchemeKernels"/> does.</summary>
internal readonly struct SchemeLaunch
{
    /// <summary>The threads that have something to do.</summary>
    public int Threads { get; init; }

    /// <summary>The pieces of a row: packets of four values, or words.</summary>
    public int Pieces { get; init; }

    /// <summary>Divides by <see cref="Pieces"/>.</summary>
    public InvariantDivisor PerRow { get; init; }

    /// <summary>The first row.</summary>
    public int FirstRow { get; init; }

    /// <summary>The row behind the last one.</summary>
    public int LastRow { get; init; }

    /// <summary>The row that the destination begins with.</summary>
    public int FirstStored { get; init; }

    /// <summary>Where the matrix begins in its view.</summary>
    public long Payload { get; init; }

    /// <summary>Where the scales begin in theirs.</summary>
    public long Scales { get; init; }

    /// <summary>Where the zero points begin in theirs.</summary>
    public long Zeros { get; init; }

    /// <summary>Where the groups begin in theirs.</summary>
    public long Groups { get; init; }
}
