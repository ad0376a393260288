using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Zip;

/// <summary>Reads the entries of a directory from its bytes.</summary>
internal static class ZipDirectoryParser
{
    /// <summary>Reads all entries.</summary>
    /// <param name="file">The archive, for messages.</param>
    /// <param name="directory">The directory's bytes.</param>
    /// <param name="end">What the end of the archive says of it.</param>
    /// <param name="nameOffsets">Where in the bytes the name of each entry begins.</param>
    /// <exception cref="InvalidCheckpointException">The bytes are not the entries that the end counts.</exception>
    public static ZipEntry[] Parse(CheckpointFile file, ReadOnlySpan<byte> directory, ZipEnd end, out int[] nameOffsets)
    {
        var entries = new ZipEntry[end.EntryCount];
        nameOffsets = new int[entries.Length];
        var position = 0;
        for (var i = 0; i < entries.Length; i++)
        {
            var header = directory[position..];
            if (header.Length < ZipConstants.CentralBytes)
            {
                throw ZipFailure.Of(
                    file, $"the end record counts {entries.Length} entries, and the directory of {directory.Length} bytes ends after {i}.", end.Directory + position);
            }

            var nameLength = BinaryPrimitives.ReadUInt16LittleEndian(header[28..]);
            var extraLength = BinaryPrimitives.ReadUInt16LittleEndian(header[30..]);
            var commentLength = BinaryPrimitives.ReadUInt16LittleEndian(header[32..]);
            var length = ZipConstants.CentralBytes + nameLength + extraLength + commentLength;
            ThrowIfNoEntry(file, header, length, i, end.Directory + position);
            nameOffsets[i] = position + ZipConstants.CentralBytes;
            entries[i] = ReadEntry(
                file,
                header,
                header.Slice(ZipConstants.CentralBytes, nameLength),
                header.Slice(ZipConstants.CentralBytes + nameLength, extraLength),
                end.Directory + position);
            position += length;
        }

        if (position < directory.Length)
        {
            throw ZipFailure.Of(
                file,
                $"the directory goes on for {directory.Length - position} bytes after the {entries.Length} entries that the end record counts.",
                end.Directory + position);
        }

        return entries;
    }

    private static void ThrowIfNoEntry(CheckpointFile file, ReadOnlySpan<byte> header, int length, int index, long offset)
    {
        var signature = BinaryPrimitives.ReadUInt32LittleEndian(header);
        if (signature != ZipConstants.CentralSignature)
        {
            throw ZipFailure.Of(
                file, $"entry {index} of the directory begins with {signature:X8} instead of {ZipConstants.CentralSignature:X8}.", offset);
        }

        if (length > header.Length)
        {
            throw ZipFailure.Of(file, $"entry {index} of the directory has {length} bytes, and {header.Length} remain.", offset);
        }
    }

    private static ZipEntry ReadEntry(CheckpointFile file, ReadOnlySpan<byte> header, ReadOnlySpan<byte> nameBytes, ReadOnlySpan<byte> extra, long offset)
    {
        var flags = BinaryPrimitives.ReadUInt16LittleEndian(header[8..]);
        var name = ZipName.Decode(nameBytes, (flags & ZipConstants.Utf8Flag) != 0)
            ?? throw ZipFailure.Of(file, Convert.ToHexString(nameBytes[..Math.Min(nameBytes.Length, 64)]), "the name is said to be UTF-8 and is not.", offset);
        if (ZipName.Objection(name) is { } objection)
        {
            throw ZipFailure.Of(file, name, $"the name {objection}; names in a checkpoint are relative paths. The archive is damaged or made to do harm.", offset);
        }

        Span<long> numbers =
        [
            BinaryPrimitives.ReadUInt32LittleEndian(header[24..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[20..]),
            BinaryPrimitives.ReadUInt32LittleEndian(header[42..]),
        ];
        if (ZipExtraField.Resolve(extra, numbers) is { } problem)
        {
            throw ZipFailure.Of(file, name, $"{problem}.", offset);
        }

        if (BinaryPrimitives.ReadUInt16LittleEndian(header[34..]) is not (0 or ZipConstants.In64Of16) and var disc)
        {
            throw ZipFailure.Of(file, name, $"it lies on disc {disc} of an archive that should be one file.", offset);
        }

        var entry = new ZipEntry
        {
            Name = name,
            Flags = flags,
            Method = BinaryPrimitives.ReadUInt16LittleEndian(header[10..]),
            Crc32 = BinaryPrimitives.ReadUInt32LittleEndian(header[16..]),
            Length = numbers[0],
            CompressedLength = numbers[1],
            HeaderOffset = numbers[2],
        };
        return entry.IsStored && entry.Length != entry.CompressedLength
            ? throw ZipFailure.Of(file, name, $"it is not compressed, and should have {entry.Length} bytes in {entry.CompressedLength}.", offset)
            : entry;
    }
}
