using System.Buffers;
using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// Holds the header before each record against the directory, and finds where the record begins. Of small records many headers
/// come with one read; of large ones each is a read of some 70 bytes, side by side where the source is not a file.
/// </summary>
/// <param name="file">The archive.</param>
/// <param name="directory">The directory's bytes.</param>
/// <param name="entries">The directory's entries.</param>
/// <param name="nameOffsets">Where in the bytes the name of each entry begins.</param>
/// <param name="end">Where the directory begins in the file: records must end before it.</param>
internal sealed class ZipLocalHeaders(CheckpointFile file, ReadOnlyMemory<byte> directory, ZipEntry[] entries, int[] nameOffsets, long end)
{
    // A cached read costs about what copying so many bytes does.
    private const int LocalGapBytes = 16 << 10;
    private const int LocalWindowBytes = 256 << 10;

    // A round trip to another machine takes 10 ms and more, in which a megabyte could have come; sixteen at a time stay within
    // 16 MiB of memory, and servers allow as many connections.
    private const int RemoteGapBytes = 512 << 10;
    private const int RemoteWindowBytes = 1 << 20;
    private const int RemoteReads = 16;

    // Read with a header whose extra fields begin with a ZIP64 field of two sizes, as all writers put it.
    private const int ExtraBytes = 32;

    /// <summary>Checks all headers.</summary>
    /// <exception cref="InvalidCheckpointException">A header says something else than the directory, or records overlap.</exception>
    public async ValueTask LocateAsync(CancellationToken cancellationToken)
    {
        var order = Order();
        ThrowIfOverlapping(order);
        if (file.Source is ISynchronousByteSource)
        {
            await LocateInOrderAsync(order, cancellationToken).ConfigureAwait(false);
        }
        else
        {
            var options = new ParallelOptions { MaxDegreeOfParallelism = RemoteReads, CancellationToken = cancellationToken };
            await Parallel.ForEachAsync(
                Windows(order, RemoteGapBytes, RemoteWindowBytes),
                options,
                async (window, token) =>
                {
                    // The loop's own token follows the caller's some time later.
                    cancellationToken.ThrowIfCancellationRequested();
                    await LocateAsync(window, order, token).ConfigureAwait(false);
                }).ConfigureAwait(false);
        }

        ThrowIfReachingFurther(order);
    }

    private async ValueTask LocateInOrderAsync(int[] order, CancellationToken cancellationToken)
    {
        foreach (var window in Windows(order, LocalGapBytes, LocalWindowBytes))
        {
            await LocateAsync(window, order, cancellationToken).ConfigureAwait(false);
        }
    }

    private int[] Order()
    {
        var order = new int[entries.Length];
        var isSorted = true;
        for (var i = 0; i < order.Length; i++)
        {
            order[i] = i;
            isSorted &= i == 0 || entries[i - 1].HeaderOffset <= entries[i].HeaderOffset;
        }

        if (!isSorted)
        {
            Array.Sort(order, (a, b) => entries[a].HeaderOffset.CompareTo(entries[b].HeaderOffset));
        }

        return order;
    }

    // Before anything is read, from what the directory alone says: entries over one another could ask for the same megabyte of
    // headers hundred thousand times.
    private void ThrowIfOverlapping(int[] order)
    {
        for (var i = 0; i < order.Length; i++)
        {
            var entry = entries[order[i]];
            if (entry.HeaderOffset > end - HeaderBytes(order[i]))
            {
                throw ZipFailure.Of(
                    file, entry.Name, $"its header should lie at byte {entry.HeaderOffset}, and the records end before byte {end}. The file was cut or changed; fetch it again.", end);
            }

            var room = (i + 1 < order.Length ? entries[order[i + 1]].HeaderOffset : end) - entry.HeaderOffset - HeaderBytes(order[i]);
            if (room < entry.CompressedLength)
            {
                throw Overlapping(order, i, entry.HeaderOffset);
            }
        }
    }

    private void ThrowIfReachingFurther(int[] order)
    {
        for (var i = 0; i < order.Length; i++)
        {
            var entry = entries[order[i]];
            var limit = i + 1 < order.Length ? entries[order[i + 1]].HeaderOffset : end;
            if (entry.DataOffset > limit - entry.CompressedLength)
            {
                throw Overlapping(order, i, entry.DataOffset);
            }
        }
    }

    private InvalidCheckpointException Overlapping(int[] order, int index, long offset)
    {
        var entry = entries[order[index]];
        var (what, limit) = index + 1 < order.Length
            ? ($"entry {Quoted.Name(entries[order[index + 1]].Name)}", entries[order[index + 1]].HeaderOffset)
            : ("the directory", end);
        return ZipFailure.Of(
            file,
            entry.Name,
            $"its header and {entry.CompressedLength} bytes from {offset} on reach into {what}, which begins at {limit}. The archive is damaged or made to do harm.",
            offset);
    }

    private IEnumerable<Window> Windows(int[] order, int gapBytes, int windowBytes)
    {
        for (var first = 0; first < order.Length;)
        {
            var offset = entries[order[first]].HeaderOffset;
            var last = EndOfHeader(order[first]);
            var next = first + 1;
            while (next < order.Length && entries[order[next]].HeaderOffset - last <= gapBytes && EndOfHeader(order[next]) - offset <= windowBytes)
            {
                last = EndOfHeader(order[next]);
                next++;
            }

            yield return new Window(first, next - first, offset, (int)(last - offset));
            first = next;
        }
    }

    private async ValueTask LocateAsync(Window window, int[] order, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(window.Length);
        try
        {
            await file.Source.ReadExactlyAsync(window.Offset, buffer.AsMemory(0, window.Length), cancellationToken).ConfigureAwait(false);
            for (var i = window.First; i < window.First + window.Count; i++)
            {
                var header = buffer.AsMemory((int)(entries[order[i]].HeaderOffset - window.Offset), (int)(EndOfHeader(order[i]) - entries[order[i]].HeaderOffset));
                await CheckAsync(order[i], header, cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private ValueTask CheckAsync(int index, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        var entry = entries[index];
        var header = bytes.Span;
        Expect(entry, "signature", BinaryPrimitives.ReadUInt32LittleEndian(header), ZipConstants.LocalSignature, 0);
        Expect(entry, "flags", BinaryPrimitives.ReadUInt16LittleEndian(header[6..]), entry.Flags, 6);
        Expect(entry, "compression method", BinaryPrimitives.ReadUInt16LittleEndian(header[8..]), entry.Method, 8);
        var name = directory.Span.Slice(nameOffsets[index], NameBytes(index));
        Expect(entry, "length of the name", BinaryPrimitives.ReadUInt16LittleEndian(header[26..]), name.Length, 26);
        var localName = header.Slice(ZipConstants.LocalBytes, name.Length);
        if (!localName.SequenceEqual(name))
        {
            var shown = ZipName.Decode(localName, (entry.Flags & ZipConstants.Utf8Flag) != 0) ?? Convert.ToHexString(localName);
            throw ZipFailure.Of(
                file,
                entry.Name,
                $"the header before its bytes names it {Quoted.Name(shown)}. The archive is damaged or made to do harm.",
                entry.HeaderOffset + ZipConstants.LocalBytes);
        }

        var extraLength = BinaryPrimitives.ReadUInt16LittleEndian(header[28..]);
        var dataOffset = entry.HeaderOffset + ZipConstants.LocalBytes + name.Length + extraLength;
        // Held against what follows once all are known; here, that the extra fields can be read.
        if (dataOffset > end)
        {
            throw ZipFailure.Of(file, entry.Name, $"its extra fields of {extraLength} bytes reach into the directory, which begins at {end}.", entry.HeaderOffset + 28);
        }

        entry.Locate(dataOffset);
        if (!entry.HasDescriptor)
        {
            Expect(entry, "CRC-32", BinaryPrimitives.ReadUInt32LittleEndian(header[14..]), entry.Crc32, 14);
        }

        var compressed = BinaryPrimitives.ReadUInt32LittleEndian(header[18..]);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(header[22..]);
        var extra = header[(ZipConstants.LocalBytes + name.Length)..];
        if (compressed != ZipConstants.In64Of32 && length != ZipConstants.In64Of32)
        {
            CheckSizes(entry, length, compressed);
        }
        else if (extraLength <= extra.Length)
        {
            CheckLargeSizes(entry, length, compressed, extra[..extraLength]);
        }
        else
        {
            return CheckLongExtraAsync(entry, length, compressed, dataOffset - extraLength, extraLength, cancellationToken);
        }

        return ValueTask.CompletedTask;
    }

    private async ValueTask CheckLongExtraAsync(
        ZipEntry entry, uint length, uint compressed, long offset, int extraLength, CancellationToken cancellationToken)
    {
        var extra = new byte[extraLength];
        await file.Source.ReadExactlyAsync(offset, extra, cancellationToken).ConfigureAwait(false);
        CheckLargeSizes(entry, length, compressed, extra);
    }

    private void CheckLargeSizes(ZipEntry entry, uint length, uint compressed, ReadOnlySpan<byte> extra)
    {
        Span<long> numbers = [length, compressed];
        if (ZipExtraField.Resolve(extra, numbers) is { } problem)
        {
            throw ZipFailure.Of(file, entry.Name, $"{problem}.", entry.HeaderOffset);
        }

        CheckSizes(entry, numbers[0], numbers[1]);
    }

    // With a descriptor the sizes were not known when the header was written: PyTorch and streaming writers leave 0, or what
    // stands for 64 bits. Numbers that are there must be the right ones all the same. The descriptor itself repeats the
    // directory, and looking at it would be one more read a record.
    private void CheckSizes(ZipEntry entry, long length, long compressed)
    {
        if (!IsLeftOpen(length))
        {
            Expect(entry, "length", length, entry.Length, 22);
        }

        if (!IsLeftOpen(compressed))
        {
            Expect(entry, "compressed length", compressed, entry.CompressedLength, 18);
        }

        bool IsLeftOpen(long number) => entry.HasDescriptor && number is 0 or ZipConstants.In64Of32;
    }

    private void Expect(ZipEntry entry, string what, long actual, long expected, int field)
    {
        if (actual == expected)
        {
            return;
        }

        throw field == 0
            ? ZipFailure.Of(
                file,
                entry.Name,
                $"a header should lie before its bytes and begin with {expected:X8}, and {actual:X8} is there. The file was changed, or cut and joined; fetch it again.",
                entry.HeaderOffset)
            : ZipFailure.Of(
                file,
                entry.Name,
                $"the {what} is {expected} in the directory and {actual} in the header before its bytes. The archive is damaged or made to do harm.",
                entry.HeaderOffset + field);
    }

    private int NameBytes(int index) => BinaryPrimitives.ReadUInt16LittleEndian(directory.Span[(nameOffsets[index] - ZipConstants.CentralBytes + 28)..]);

    private int HeaderBytes(int index) => ZipConstants.LocalBytes + NameBytes(index);

    private long EndOfHeader(int index) => Math.Min(end, entries[index].HeaderOffset + HeaderBytes(index) + ExtraBytes);

    private readonly record struct Window(int First, int Count, long Offset, int Length);
}
