namespace IlgpuLoader.Formats.Zip;

/// <summary>The bytes of one record as they stand in the file, for whoever inflates them. Reads forward only; owns nothing.</summary>
/// <param name="source">The archive.</param>
/// <param name="offset">Where the record begins, in bytes from the start of the source.</param>
/// <param name="length">How many bytes it takes.</param>
internal sealed class ZipRecordStream(IByteSource source, long offset, long length) : Stream
{
    private long _position;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException("The bytes of a record are read forward.");
    }

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = (int)Math.Min(buffer.Length, length - _position);
        await source.ReadExactlyAsync(offset + _position, buffer[..count], cancellationToken).ConfigureAwait(false);
        _position += count;
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override int Read(Span<byte> buffer)
    {
        if (source is not ISynchronousByteSource synchronous)
        {
            throw new NotSupportedException("The source reads only asynchronously.");
        }

        var count = (int)Math.Min(buffer.Length, length - _position);
        synchronous.ReadExactly(offset + _position, buffer[..count]);
        _position += count;
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("The bytes of a record are read forward.");

    public override void SetLength(long value) => throw new NotSupportedException("A record is only read.");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("A record is only read.");
}
