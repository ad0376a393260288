namespace IlgpuLoader.Formats;

/// <summary>
/// Random access to the bytes of one file or object. Reads may run in parallel; disposing while a read runs is the
/// caller's error.
/// </summary>
public interface IByteSource : IAsyncDisposable
{
    /// <summary>The path or address, for messages.</summary>
    string Name { get; }

    /// <summary>The size in bytes, as it was when the source was opened.</summary>
    long Length { get; }

    /// <summary>Reads up to <paramref name="destination"/>'s length bytes from <paramref name="offset"/>.</summary>
    /// <param name="offset">Where to begin, in bytes from the start.</param>
    /// <param name="destination">Where the bytes go; a read may fill less of it.</param>
    /// <param name="cancellationToken">Ends a read that has not begun, and where the source can, one that has.</param>
    /// <returns>The number of bytes read; 0 only at the end or for an empty destination.</returns>
    /// <exception cref="IOException">The bytes cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">The file was replaced since it was opened.</exception>
    ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default);

    /// <summary>Checks that the bytes are still those of the file that was opened, as far as the source can tell.</summary>
    /// <exception cref="InvalidCheckpointException">The file was changed or replaced.</exception>
    ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default);
}
