namespace IlgpuLoader.Formats;

/// <summary>
/// A source that can also read on the calling thread, as a local file can. A reader that owns its thread saves the two
/// thread switches of an asynchronous read.
/// </summary>
public interface ISynchronousByteSource : IByteSource
{
    /// <summary>Reads up to <paramref name="destination"/>'s length bytes from <paramref name="offset"/>; blocks.</summary>
    /// <returns>The number of bytes read; 0 only at the end or for an empty destination.</returns>
    /// <exception cref="IOException">The bytes cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">The file was replaced since it was opened.</exception>
    int Read(long offset, Span<byte> destination);
}
