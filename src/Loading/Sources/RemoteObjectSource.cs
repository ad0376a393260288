using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Bytes of a remote file that takes ranges. Long reads go straight into the reader's memory; short ones, of which headers are made, come from blocks that are read ahead. Safe for any thread.
/// </summary>
internal sealed class RemoteObjectSource : IRemoteByteSource
{
    private readonly IRemoteObject _file;
    private readonly RemoteReading _reading;
    private readonly RemoteBlocks _blocks;

    /// <summary>Makes a source; nothing is read.</summary>
    /// <param name="file">The file, which takes ranges.</param>
    /// <param name="reading">Reads its ranges.</param>
    /// <param name="name">Its name for messages; null for the file's own.</param>
    public RemoteObjectSource(IRemoteObject file, RemoteReading reading, string? name = null)
    {
        (_file, _reading, Name) = (file, reading, name ?? file.Name);
        _blocks = new RemoteBlocks(file, reading);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public long Length => _file.Length;

    /// <inheritdoc/>
    public int ParallelReads => _reading.Options.Connections;

    /// <inheritdoc/>
    public int PreferredReadBytes => _reading.Options.RangeBytes;

    /// <summary>Makes a source over a file, whether it takes ranges or not.</summary>
    /// <inheritdoc cref="RemoteObjectSource(IRemoteObject, RemoteReading, string?)" path="/param"/>
    public static IRemoteByteSource Over(IRemoteObject file, RemoteReading reading, string? name = null) =>
        file.TakesRanges ? new RemoteObjectSource(file, reading, name) : new OnePassSource(file, reading, name ?? file.Name);

    /// <inheritdoc/>
    /// <exception cref="RemoteException">The bytes are not to be had, after all retries.</exception>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        cancellationToken.ThrowIfCancellationRequested();
        var wanted = (int)Math.Min(destination.Length, Math.Max(0, Length - offset));
        if (wanted < RemoteBlocks.LongReadBytes)
        {
            return wanted == 0 ? 0 : await _blocks.ReadAsync(offset, destination[..wanted], cancellationToken).ConfigureAwait(false);
        }

        await _reading.ReadAsync(_file, offset, destination[..wanted], cancellationToken).ConfigureAwait(false);
        return wanted;
    }

    /// <summary>Asks for nothing: every range is held against what the file was when it was opened, so that what was read is of one content.</summary>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _blocks.DisposeAsync();
}
