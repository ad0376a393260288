namespace IlgpuLoader.Formats;

/// <summary>A source of which parts are the bytes of a local file as they are stored there: whoever wants to may read them past it.</summary>
public interface IFileByteSource : IByteSource
{
    /// <summary>The file that has the source's bytes from an offset on, at that same offset.</summary>
    /// <param name="offset">An offset in bytes from the start.</param>
    /// <returns>The file, which stays the source's; null where bytes there are made of others, or do not come from a local file.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The offset is negative.</exception>
    LocalFileSource? FileAt(long offset);
}
