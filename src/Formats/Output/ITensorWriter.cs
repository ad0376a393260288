namespace IlgpuLoader.Formats;

/// <summary>
/// A checkpoint file that is being written: its header is there, and the bytes of its tensors may come in any order and from
/// several threads. It appears whole with <see cref="CommitAsync"/> or not at all.
/// </summary>
public interface ITensorWriter : IAsyncDisposable
{
    /// <summary>Where the file will appear.</summary>
    string Path { get; }

    /// <summary>The size the file will have, in bytes.</summary>
    long Length { get; }

    /// <summary>Writes bytes of a tensor.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="offset">Where in the tensor, in bytes from its start. Ranges must not overlap.</param>
    /// <param name="bytes">Row-major, little-endian; they stay the caller's.</param>
    /// <param name="cancellationToken">Cancels the write; the file can then only be disposed.</param>
    /// <exception cref="ArgumentException">There is no such tensor, or the range is not within it.</exception>
    /// <exception cref="IOException">The disk is full or failed. The message begins with the path.</exception>
    ValueTask WriteAsync(string name, long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default);

    /// <summary>Writes bytes of a tensor on the calling thread, which a thread that has just made them does cheapest.</summary>
    /// <inheritdoc cref="WriteAsync" path="/param"/>
    /// <inheritdoc cref="WriteAsync" path="/exception"/>
    void Write(string name, long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Forces the file to disk and gives it its name; a file of an <see cref="AtomicFolder"/> gets it with the folder.</summary>
    /// <param name="cancellationToken">Ends a commit that has not begun.</param>
    /// <exception cref="InvalidOperationException">A tensor was not written whole.</exception>
    /// <exception cref="IOException">The disk is full or failed, or something has come to the target that may not be replaced.</exception>
    ValueTask CommitAsync(CancellationToken cancellationToken = default);
}
