namespace IlgpuLoader.Loading;

/// <summary>
/// The body of a response, of which exactly a number of bytes is wanted: one that ends early, says nothing for too long, or has more, throws. Counts what arrives. For one reader at a time.
/// </summary>
internal sealed class RemoteBody : Stream
{
    private readonly IDisposable _response;
    private readonly Stream _content;
    private readonly RemoteOptions _options;
    private readonly TimeProvider _time;
    private readonly RemoteTraffic _traffic;
    private readonly string _name;
    private readonly long _length;
    private readonly bool _endsItself;
    private CancellationTokenSource? _silence;
    private long _position;

    /// <summary>Makes it over a response's stream.</summary>
    /// <param name="response">The response, which it owns from then on.</param>
    /// <param name="content">Its stream, which ends with it.</param>
    /// <param name="length">The bytes that are wanted.</param>
    /// <param name="endsItself">Whether the stream has no more than what the response says.</param>
    /// <param name="name">The address, for messages.</param>
    /// <param name="options">The timeout.</param>
    /// <param name="time">Its clock.</param>
    /// <param name="traffic">Where bytes are counted.</param>
    public RemoteBody(IDisposable response, Stream content, long length, bool endsItself, string name, RemoteOptions options, TimeProvider time, RemoteTraffic traffic)
    {
        (_response, _content, _length, _endsItself, _name) = (response, content, length, endsItself, name);
        (_options, _time, _traffic) = (options, time, traffic);
    }

    /// <inheritdoc/>
    public override bool CanRead => true;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => false;

    /// <inheritdoc/>
    public override long Length => _length;

    /// <inheritdoc/>
    public override long Position
    {
        get => _position;
        set => throw new NotSupportedException();
    }

    /// <summary>Makes it over a response, which it owns from then on, also where this throws.</summary>
    /// <param name="response">The response, its headers read.</param>
    /// <param name="length">The bytes that are wanted.</param>
    /// <param name="name">The address, for messages.</param>
    /// <param name="http">Timeout, clock and traffic.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    public static async Task<RemoteBody> OpenAsync(HttpResponseMessage response, long length, string name, RemoteHttp http, CancellationToken cancellationToken)
    {
        try
        {
            var content = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            // A body with a length ends by itself; of one in chunks nobody knows.
            return new RemoteBody(response, content, length, response.Content.Headers.ContentLength is not null, name, http.Options, http.Time, http.Traffic);
        }
        catch
        {
            response.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var wanted = (int)Math.Min(buffer.Length, _length - _position);
        if (wanted == 0)
        {
            return 0;
        }

        var read = await ReadContentAsync(buffer[..wanted], cancellationToken).ConfigureAwait(false);
        if (read == 0)
        {
            throw Cut("the connection ends", null);
        }

        _position += read;
        _traffic.AddBytes(read);
        if (_position == _length && !_endsItself && await ReadContentAsync(new byte[1], cancellationToken).ConfigureAwait(false) > 0)
        {
            throw new RemoteException(RemoteFailure.Network, _name, $"the server sends more than the {_length} bytes that it was asked for.");
        }

        return read;
    }

    /// <inheritdoc/>
    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException("No thread waits for a network; read asynchronously.");

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _response.Dispose();
            _silence?.Dispose();
        }

        base.Dispose(disposing);
    }

    private async ValueTask<int> ReadContentAsync(Memory<byte> buffer, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (_silence is null)
        {
            _silence = new CancellationTokenSource(_options.Timeout, _time);
        }
        else
        {
            _silence.CancelAfter(_options.Timeout);
        }

        try
        {
            using var registration = cancellationToken.UnsafeRegister(silence => ((CancellationTokenSource)silence!).Cancel(), _silence);
            var read = await _content.ReadAsync(buffer, _silence.Token).ConfigureAwait(false);
            _silence.CancelAfter(Timeout.InfiniteTimeSpan);
            return read;
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (OperationCanceledException canceled)
        {
            throw Cut($"nothing came for {_options.Timeout.TotalSeconds:0.###} s", canceled);
        }
        catch (IOException failure)
        {
            throw Cut("the connection is cut", failure);
        }
    }

    private RemoteException Cut(string what, Exception? failure) =>
        new(RemoteFailure.Network, _name, $"{what} after {_position} of {_length} bytes.", failure);
}
