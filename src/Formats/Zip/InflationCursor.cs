using System.IO.Compression;

namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// One pass through a deflated record, from its beginning on: what was inflated is counted and summed, so that a record that is
/// not what the directory says is found out at its end at the latest. For one reader at a time.
/// </summary>
internal sealed class InflationCursor : IAsyncDisposable
{
    // What DeflateStream asks for at once are 8 KiB: nothing for a file, a round trip each for a remote source.
    private const int RemoteReadBytes = 128 * 1024;

    private readonly CheckpointFile _file;
    private readonly ZipEntry _entry;
    private readonly DeflateStream _inflater;
    private uint _crc;

    public InflationCursor(CheckpointFile file, ZipEntry entry)
    {
        _file = file;
        _entry = entry;
        Stream compressed = new ZipRecordStream(file.Source, entry.DataOffset, entry.CompressedLength);
        _inflater = new DeflateStream(
            file.Source is ISynchronousByteSource ? compressed : new BufferedStream(compressed, RemoteReadBytes), CompressionMode.Decompress);
    }

    /// <summary>The record that is inflated.</summary>
    public ZipEntry Entry => _entry;

    /// <summary>How many bytes were inflated.</summary>
    public long Position { get; private set; }

    /// <summary>Whether there is nothing left.</summary>
    public bool IsAtEnd => Position == _entry.Length;

    /// <summary>Inflates the next bytes.</summary>
    /// <param name="destination">Where they go; no more than the record has left.</param>
    /// <param name="cancellationToken">Ends the work between steps of some kilobytes.</param>
    /// <exception cref="InvalidCheckpointException">The record is damaged, or not as long as the directory says.</exception>
    public async ValueTask ReadAsync(Memory<byte> destination, CancellationToken cancellationToken)
    {
        try
        {
            while (!destination.IsEmpty)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var read = await _inflater.ReadAsync(destination, cancellationToken).ConfigureAwait(false);
                if (read == 0)
                {
                    throw Invalid($"inflated, it has {Position} bytes, and the directory says {_entry.Length}.");
                }

                _crc = Crc32.Append(_crc, destination.Span[..read]);
                Position += read;
                destination = destination[read..];
            }

            if (IsAtEnd)
            {
                await CheckEndAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        catch (InvalidDataException exception)
        {
            throw Invalid("its compressed bytes are damaged; fetch the file again.", exception);
        }
    }

    /// <summary>Gives back what the pass holds.</summary>
    public ValueTask DisposeAsync() => _inflater.DisposeAsync();

    private async ValueTask CheckEndAsync(CancellationToken cancellationToken)
    {
        if (await _inflater.ReadAsync(new byte[1], cancellationToken).ConfigureAwait(false) > 0)
        {
            throw Invalid($"inflated, it has more bytes than the {_entry.Length} that the directory says.");
        }

        // As in ZipDirectory: some writers put 0 where they computed none.
        if (_entry.Crc32 != 0 && _crc != _entry.Crc32)
        {
            throw Invalid($"its bytes have the CRC-32 {_crc:X8}, and the directory says {_entry.Crc32:X8}. The file was changed; fetch it again.");
        }
    }

    private InvalidCheckpointException Invalid(string problem, Exception? inner = null) =>
        ZipFailure.Of(_file, _entry.Name, problem, _entry.DataOffset, inner);
}
