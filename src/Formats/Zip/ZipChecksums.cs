using System.Buffers;
using System.IO.Compression;

namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// Holds the CRC-32 of every record against its bytes, which nobody who reads tensors by range does: one pass over the records,
/// several of them side by side, in a mebibyte each. Safe for any thread while the file's source is.
/// </summary>
/// <param name="file">The archive as it is stored: no section behind it, no numbers turned round.</param>
/// <param name="directory">Its directory.</param>
internal sealed class ZipChecksums(CheckpointFile file, ZipDirectory directory) : IRecordChecksums
{
    private const int PieceBytes = 1 << 20;

    /// <inheritdoc/>
    public long ByteLength => directory.Entries.Where(HasChecksum).Sum(entry => entry.CompressedLength);

    /// <inheritdoc/>
    public async ValueTask<RecordChecksumFindings> CheckAsync(Action<long>? progress, CancellationToken cancellationToken)
    {
        ZipEntry[] entries = [.. directory.Entries.Where(HasChecksum).OrderBy(entry => entry.DataOffset)];
        var mismatches = new RecordMismatch?[entries.Length];
        await Parallel.ForAsync(
            0,
            entries.Length,
            cancellationToken,
            async (i, token) => mismatches[i] = await CheckAsync(entries[i], progress, token).ConfigureAwait(false)).ConfigureAwait(false);
        return new RecordChecksumFindings(
            [.. mismatches.OfType<RecordMismatch>()],
            directory.Entries.Count(entry => IsReadable(entry) && entry is { HasChecksum: false, Length: > 0 }),
            directory.Entries.Count(entry => !IsReadable(entry)));
    }

    private static bool HasChecksum(ZipEntry entry) => IsReadable(entry) && entry.HasChecksum;

    private static bool IsReadable(ZipEntry entry) => entry.IsStored || entry.IsDeflated;

    private async ValueTask<RecordMismatch?> CheckAsync(ZipEntry entry, Action<long>? progress, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(PieceBytes, Math.Max(entry.CompressedLength, 1)));
        try
        {
            var crc = entry.IsStored
                ? await OfStoredAsync(entry, buffer, progress, cancellationToken).ConfigureAwait(false)
                : await OfDeflatedAsync(entry, buffer, progress, cancellationToken).ConfigureAwait(false);
            return crc == entry.Crc32 ? null : Mismatch(entry, $"has the CRC-32 {crc:X8}, and the directory says {entry.Crc32:X8}");
        }
        catch (InvalidDataException)
        {
            return Mismatch(entry, "has compressed bytes that are damaged");
        }
        catch (LengthException exception)
        {
            return Mismatch(entry, exception.Message);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private async ValueTask<uint> OfStoredAsync(ZipEntry entry, byte[] buffer, Action<long>? progress, CancellationToken cancellationToken)
    {
        var crc = 0u;
        for (long done = 0; done < entry.Length;)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var piece = buffer.AsMemory(0, (int)Math.Min(Math.Min(PieceBytes, buffer.Length), entry.Length - done));
            await file.Source.ReadExactlyAsync(entry.DataOffset + done, piece, cancellationToken).ConfigureAwait(false);
            crc = Crc32.Append(crc, piece.Span);
            done += piece.Length;
            progress?.Invoke(piece.Length);
        }

        return crc;
    }

    private async ValueTask<uint> OfDeflatedAsync(ZipEntry entry, byte[] buffer, Action<long>? progress, CancellationToken cancellationToken)
    {
        var compressed = new ZipRecordStream(file.Source, entry.DataOffset, entry.CompressedLength);
        await using (compressed.ConfigureAwait(false))
        {
            var inflater = new DeflateStream(compressed, CompressionMode.Decompress);
            await using (inflater.ConfigureAwait(false))
            {
                var (crc, length, told) = (0u, 0L, 0L);
                while (true)
                {
                    cancellationToken.ThrowIfCancellationRequested();
                    var read = await inflater.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
                    progress?.Invoke(compressed.Position - told);
                    told = compressed.Position;
                    length += read;
                    // A bomb goes on for long; it is found out where it goes beyond its own word.
                    if (length > entry.Length || (read == 0 && length < entry.Length))
                    {
                        throw new LengthException(
                            $"has {(read == 0 ? $"{length} bytes" : "more bytes")} when it is inflated, and the directory says {entry.Length}");
                    }

                    if (read == 0)
                    {
                        return crc;
                    }

                    crc = Crc32.Append(crc, buffer.AsSpan(0, read));
                }
            }
        }
    }

    private static RecordMismatch Mismatch(ZipEntry entry, string problem) => new(entry.Name, entry.DataOffset, entry.CompressedLength, problem);

    private sealed class LengthException(string problem) : Exception(problem);
}
