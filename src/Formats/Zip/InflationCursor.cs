using System.IO.Compression;

namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// One pass through a deflated record, from its beginning on: what was inflated is counted and summed, so that a record that is
/// not what the directory says is found out at its end at the latest. For one reader at a time.
/// </summary>
internal sealed class InflationCursor : IAsyncDisposable
{
    // Deflate makes at most 258 bytes of 2 bits (RFC 1951, 3.2.5): what promises more is a bomb, or wrong.
    private const int LargestRatio = 1032;

    // What DeflateStream asks for at once are 8 KiB: nothing for a file, a round trip each for a remote source.
    private const int RemoteReadBytes = 128 * 1024;

    private readonly CheckpointFile _file;
    private readonly ZipEntry _entry;
    private readonly DeflateStream _inflater;
    private uint _crc;

    /// <summary>Begins a pass; reads nothing.</summary>
    /// <param name="file">The archive.</param>
    /// <param name="entry">The record, which is deflated and not encrypted.</param>
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

    /// <summary>Refuses a record that cannot become as long as the directory says, before memory is taken for it.</summary>
    /// <inheritdoc cref="InflationCursor(CheckpointFile, ZipEntry)" path="/param"/>
    /// <exception cref="InvalidCheckpointException">It cannot.</exception>
    public static void ThrowIfImpossible(CheckpointFile file, ZipEntry entry)
    {
        if (entry.Length / LargestRatio > entry.CompressedLength)
        {
            throw ZipFailure.Of(
                file,
                entry.Name,
                $"{entry.CompressedLength} compressed bytes cannot become the {entry.Length} bytes that the directory says.",
                entry.DataOffset);
        }
    }

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

        ZipFailure.ThrowIfChanged(_file, _entry, _crc);
    }

    private InvalidCheckpointException Invalid(string problem, Exception? inner = null) =>
        ZipFailure.Of(_file, _entry.Name, problem, _entry.DataOffset, inner);
}
