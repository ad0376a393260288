namespace IlgpuLoader.Loading;

/// <summary>The part of a file that a plan reads from: its first and last bytes, and how many between are read.</summary>
/// <param name="Offset">The first byte that is read, from the start of the file.</param>
/// <param name="End">The byte behind the last one.</param>
/// <param name="Bytes">How many bytes there are read; 0 where nothing is.</param>
internal readonly record struct FilePart(long Offset, long End, long Bytes)
{
    /// <summary>The bytes from the first to the last.</summary>
    public long Length => End - Offset;

    /// <summary>The part with some more bytes.</summary>
    /// <param name="offset">The first.</param>
    /// <param name="end">Behind the last.</param>
    /// <param name="bytes">How many of them are read.</param>
    public FilePart With(long offset, long end, long bytes) =>
        bytes == 0 ? this : Bytes == 0 ? new(offset, end, bytes) : new(Math.Min(Offset, offset), Math.Max(End, end), checked(Bytes + bytes));
}
