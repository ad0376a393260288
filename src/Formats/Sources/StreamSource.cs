namespace IlgpuLoader.Formats;

/// <summary>
/// Bytes of a seekable stream. A stream has one position, so parallel reads take turns; a local file is faster through
/// <see cref="LocalFileSource"/>.
/// </summary>
public sealed class StreamSource : IByteSource
{
    private readonly Stream _stream;
    private readonly bool _leaveOpen;
    private readonly SemaphoreSlim _turn = new(1, 1);

    /// <summary>Makes a source over a stream.</summary>
    /// <param name="stream">A stream that can read and seek; offsets count from its start.</param>
    /// <param name="name">The name for messages.</param>
    /// <param name="leaveOpen">Whether the stream stays open when the source is disposed; otherwise it is disposed too.</param>
    /// <exception cref="ArgumentException">The stream cannot read or seek.</exception>
    public StreamSource(Stream stream, string name = "stream", bool leaveOpen = false)
    {
        ArgumentNullException.ThrowIfNull(stream);
        if (!stream.CanRead || !stream.CanSeek)
        {
            throw new ArgumentException("A checkpoint is read at many places: the stream must be readable and seekable.", nameof(stream));
        }

        _stream = stream;
        _leaveOpen = leaveOpen;
        Name = name;
        Length = stream.Length;
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public long Length { get; }

    /// <inheritdoc/>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        cancellationToken.ThrowIfCancellationRequested();
        if (offset >= Length)
        {
            // Some streams refuse a position far beyond their end.
            return 0;
        }

        await _turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            _stream.Position = offset;
            return await _stream.ReadAsync(destination, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default)
    {
        return _stream.Length == Length
            ? ValueTask.CompletedTask
            : throw new InvalidCheckpointException(
                CheckpointErrorCode.FileChanged,
                Name,
                $"the stream had {Length} bytes when it was opened and has {_stream.Length} now: what was read is not one checkpoint.");
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _turn.Dispose();
        if (!_leaveOpen)
        {
            await _stream.DisposeAsync().ConfigureAwait(false);
        }
    }
}
