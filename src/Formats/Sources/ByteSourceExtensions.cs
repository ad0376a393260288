namespace IlgpuLoader.Formats;

/// <summary>Reads that must be complete, and what not every source can do.</summary>
public static class ByteSourceExtensions
{
    /// <summary>
    /// Fills <paramref name="destination"/> from <paramref name="offset"/>, however short the single reads are. A source
    /// that can read on the calling thread does so: the task is then complete when this returns.
    /// </summary>
    /// <exception cref="InvalidCheckpointException">
    /// The source ends first (<see cref="CheckpointErrorCode.FileTruncated"/>): it was cut after it was opened, or the
    /// range is not within it.
    /// </exception>
    public static ValueTask ReadExactlyAsync(
        this IByteSource source, long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(source);
        cancellationToken.ThrowIfCancellationRequested();
        if (source is ISynchronousByteSource synchronous)
        {
            synchronous.ReadExactly(offset, destination.Span);
            return ValueTask.CompletedTask;
        }

        return ReadInPartsAsync(source, offset, destination, cancellationToken);
    }

    /// <summary>Fills <paramref name="destination"/> on the calling thread.</summary>
    /// <inheritdoc cref="ReadExactlyAsync" path="/exception"/>
    public static void ReadExactly(this ISynchronousByteSource source, long offset, Span<byte> destination)
    {
        ArgumentNullException.ThrowIfNull(source);
        while (!destination.IsEmpty)
        {
            var read = source.Read(offset, destination);
            ThrowIfEnded(source, read, offset, destination.Length);
            offset += read;
            destination = destination[read..];
        }
    }

    /// <summary>Whether the part of a source with this offset can only be read forward, so that a read elsewhere costs what lies before it.</summary>
    /// <param name="source">The source.</param>
    /// <param name="offset">An offset in bytes from the start.</param>
    public static bool IsSequentialAt(this IByteSource source, long offset) =>
        source is ISequentialByteSource sequential && sequential.IsSequentialAt(offset);

    /// <summary>The remote source that most bytes of a source come from: itself, or what it is put over.</summary>
    /// <param name="source">The source.</param>
    /// <returns>Null where they come from this machine.</returns>
    public static IRemoteByteSource? FindRemote(this IByteSource source)
    {
        ArgumentNullException.ThrowIfNull(source);
        while (source is ILayeredByteSource layer)
        {
            source = layer.Under;
        }

        return source as IRemoteByteSource;
    }

    /// <summary>Finds the bytes of a range in a local file; nothing is read or mapped.</summary>
    /// <param name="source">The source.</param>
    /// <param name="offset">The first byte, from the start of the source.</param>
    /// <param name="length">The number of bytes.</param>
    /// <returns>The place; null where some of the bytes are not those of a local file, or where there are none.</returns>
    public static FileRange? FindFileRange(this IByteSource source, long offset, long length) =>
        (source as IFileByteSource)?.FindFileRange(offset, length);

    private static async ValueTask ReadInPartsAsync(
        IByteSource source, long offset, Memory<byte> destination, CancellationToken cancellationToken)
    {
        while (!destination.IsEmpty)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var read = await source.ReadAsync(offset, destination, cancellationToken).ConfigureAwait(false);
            ThrowIfEnded(source, read, offset, destination.Length);
            offset += read;
            destination = destination[read..];
        }
    }

    private static void ThrowIfEnded(IByteSource source, int read, long offset, int missing)
    {
        if (read == 0)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.FileTruncated,
                source.Name,
                $"the file ends here although {missing} more bytes were expected; it had {source.Length} bytes when it was "
                + "opened. It was cut while it was being read: load it again once it is whole.",
                offset: offset);
        }
    }
}
