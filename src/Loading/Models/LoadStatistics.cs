namespace IlgpuLoader.Loading;

/// <summary>What a load did and how long it took. Times of lanes are summed, so they may exceed the time that passed.</summary>
/// <param name="Tensors">Tensors loaded.</param>
/// <param name="BytesRead">Bytes read from files.</param>
/// <param name="BytesPlaced">Bytes of the tensors on the device, on each of a group.</param>
/// <param name="Elapsed">The time that passed.</param>
/// <param name="FirstTouch">Time lanes spent on making fresh pages present.</param>
/// <param name="Reading">Time lanes spent in reads.</param>
/// <param name="Hashing">Time lanes spent in hashing what a manifest is held against.</param>
/// <param name="Placing">Time lanes spent in copying, decoding and uploading.</param>
/// <param name="Lanes">How many lanes there were.</param>
public sealed record LoadStatistics(
    int Tensors,
    long BytesRead,
    long BytesPlaced,
    TimeSpan Elapsed,
    TimeSpan FirstTouch,
    TimeSpan Reading,
    TimeSpan Hashing,
    TimeSpan Placing,
    int Lanes)
{
    /// <summary>
    /// What of <see cref="Placing"/> went into pieces whose dtype changes: on the host all that decoding takes; on a GPU the upload of what is decoded there, whose kernels run beside the lanes' next reads.
    /// </summary>
    public TimeSpan Decoding { get; init; }

    /// <summary>Bytes of tensors that are views of mapped files, which were neither read nor placed.</summary>
    public long BytesMapped { get; init; }

    /// <summary>How many of the bytes were read past the page cache.</summary>
    public long DirectBytes { get; init; }

    /// <summary>
    /// How the bytes were read: <c>buffered</c>, <c>direct</c>, <c>mapped</c>, or <c>mixed</c> where some came through the page cache and
    /// some past it.
    /// </summary>
    public string ReadMode =>
        IsMapped ? ReadModes.NameOf(Loading.ReadMode.Mapped)
        : DirectBytes == 0 ? ReadModes.NameOf(Loading.ReadMode.Buffered)
        : DirectBytes == BytesRead ? ReadModes.NameOf(Loading.ReadMode.Direct)
        : "mixed";

    /// <summary>Whether files were mapped.</summary>
    internal bool IsMapped { get; init; }

    /// <summary>Bytes read a second.</summary>
    public double ReadBytesPerSecond => Elapsed > TimeSpan.Zero ? BytesRead / Elapsed.TotalSeconds : 0;
}
