namespace IlgpuLoader.Formats;

/// <summary>Whole blocks of one layout, one after another, in which numbers are turned round as they are read.</summary>
/// <param name="Offset">Where the first block begins, in bytes from the start of the source.</param>
/// <param name="Length">The size of all blocks in bytes.</param>
/// <param name="BlockSize">The size of one block in bytes.</param>
/// <param name="Fields">What is turned round in each block, in the order of the offsets, without overlap.</param>
internal readonly record struct SwappedRange(long Offset, long Length, int BlockSize, SwappedField[] Fields)
{
    /// <summary>The byte after the last block.</summary>
    public long End => Offset + Length;
}
