namespace IlgpuLoader.Formats;

/// <summary>What reads past the page cache must be aligned to, as the file system says.</summary>
/// <param name="Memory">The address that bytes go to is a multiple of this, a power of two.</param>
/// <param name="Offset">So are a read's offset in the file and its length, of this one.</param>
public readonly record struct DirectAlignment(int Memory, int Offset)
{
    /// <summary>
    /// The bytes that a buffer needs beyond those that are wanted, wherever they begin in the file and the buffer in memory: up to an
    /// aligned address, and whole blocks of the file at both ends.
    /// </summary>
    public int Margin => Memory + (2 * Offset);

    /// <summary>The last aligned offset at or before an offset.</summary>
    public long Floor(long offset) => offset & -(long)Offset;

    /// <summary>The first aligned offset at or behind an offset.</summary>
    public long Ceiling(long offset) => checked(offset + Offset - 1) & -(long)Offset;

    /// <summary>Whether bytes from an offset on can be read straight to an address: aligned offsets fall on aligned addresses then.</summary>
    public bool Agrees(nint address, long offset) => ((address - (offset - Floor(offset))) & (Memory - 1)) == 0;
}
