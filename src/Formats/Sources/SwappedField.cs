namespace IlgpuLoader.Formats;

/// <summary>Numbers inside a block whose bytes are turned round as they are read.</summary>
/// <param name="Offset">Where the first begins, in bytes from the start of the block.</param>
/// <param name="Size">The size of each: 2, 4 or 8 bytes.</param>
/// <param name="Count">How many there are, one after another.</param>
internal readonly record struct SwappedField(int Offset, int Size, int Count = 1)
{
    /// <summary>The byte after the last number, from the start of the block.</summary>
    public int End => Offset + (Size * Count);
}
