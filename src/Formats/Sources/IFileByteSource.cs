namespace IlgpuLoader.Formats;

/// <summary>
/// A source of which parts are bytes of a local file as they are there, so that they can be seen in a mapping of the file, or read
/// past the page cache. Other parts may be made as they are read: numbers that are turned round, records that are inflated.
/// </summary>
public interface IFileByteSource : IByteSource
{
    /// <summary>Finds the bytes of a range in their file; nothing is read or mapped.</summary>
    /// <param name="offset">The first byte, from the start of the source.</param>
    /// <param name="length">The number of bytes.</param>
    /// <returns>The place; null where some of the bytes are not those of a local file, or where there are none.</returns>
    FileRange? FindFileRange(long offset, long length);
}
