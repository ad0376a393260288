using System.Buffers.Binary;

namespace IlgpuLoader.Formats.Zip;

/// <summary>What the end of an archive says of its directory.</summary>
/// <param name="Directory">Where the directory begins, in bytes from the start of the file.</param>
/// <param name="DirectoryBytes">How long it is.</param>
/// <param name="EntryCount">How many entries it has.</param>
/// <param name="Tail">The last bytes of the file, in which the directory usually lies.</param>
/// <param name="BytesBehind">How many bytes follow the end record and its comment, which belong to no archive.</param>
internal readonly record struct ZipEnd(long Directory, long DirectoryBytes, long EntryCount, ReadOnlyMemory<byte> Tail, int BytesBehind)
{
    // At least the largest comment with all end records before it. This much more costs a read nothing and brings the
    // directory of some 1,000 entries along, which saves a remote file a round trip.
    private const int TailBytes = 128 << 10;

    /// <summary>Where the tail begins, in bytes from the start of the file.</summary>
    public static long TailOffset(CheckpointFile file) => Math.Max(0, file.Length - TailBytes);

    /// <summary>Finds the end record, and the ZIP64 one where there is one.</summary>
    /// <exception cref="InvalidCheckpointException">There is none, or it does not describe a directory that ends where it begins.</exception>
    public static async ValueTask<ZipEnd> ReadAsync(CheckpointFile file, CancellationToken cancellationToken)
    {
        var tail = new byte[Math.Min(file.Length, TailBytes)];
        await file.Source.ReadExactlyAsync(file.Length - tail.Length, tail, cancellationToken).ConfigureAwait(false);
        var position = Find(tail, out var bytesBehind);
        if (position < 0)
        {
            throw Missing(file, tail);
        }

        var start = file.Length - tail.Length;
        var end = ReadPlain(tail.AsSpan(position));
        var offset = start + position;
        // The tail is longer than the longest comment with both records, so that only the start of the file can cut the locator.
        var locator = new byte[ZipConstants.Zip64LocatorBytes];
        var locatorOffset = offset - locator.Length;
        if (locatorOffset >= 0)
        {
            tail.AsSpan(position - locator.Length, locator.Length).CopyTo(locator);
        }

        if (BinaryPrimitives.ReadUInt32LittleEndian(locator) == ZipConstants.Zip64LocatorSignature)
        {
            (end, offset) = await ReadZip64Async(file, end, locator, locatorOffset, cancellationToken).ConfigureAwait(false);
        }

        Check(file, end, offset);
        return new ZipEnd(end.Directory, end.DirectoryBytes, end.Entries, tail, bytesBehind);
    }

    // The last signature with a whole record behind it, whatever its comment says: PyTorch (miniz) and Python's zipfile take it,
    // and a file must not be one archive to them and another to us. Bytes behind its comment are what copies rounded up to
    // whole blocks have; a comment that would reach behind the end of the file is one that was cut.
    private static int Find(ReadOnlySpan<byte> tail, out int bytesBehind)
    {
        bytesBehind = 0;
        if (tail.Length < ZipConstants.EndBytes)
        {
            return -1;
        }

        Span<byte> signature = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(signature, ZipConstants.EndSignature);
        var first = Math.Max(0, tail.Length - ZipConstants.EndBytes - ushort.MaxValue);
        var found = tail[first..^(ZipConstants.EndBytes - signature.Length)].LastIndexOf(signature);
        if (found < 0)
        {
            return -1;
        }

        var position = first + found;
        var comment = BinaryPrimitives.ReadUInt16LittleEndian(tail[(position + 20)..]);
        bytesBehind = tail.Length - (position + ZipConstants.EndBytes + comment);
        return bytesBehind >= 0 ? position : -1;
    }

    private static InvalidCheckpointException Missing(CheckpointFile file, ReadOnlySpan<byte> tail) =>
        tail.IsEmpty || tail.ContainsAnyExcept((byte)0)
            ? ZipFailure.Of(
                file,
                $"the zip archive has no end: the record that lists its entries should be the last thing in the file of {file.Length} bytes. "
                + $"A download or copy that was cut short leaves this, or {ushort.MaxValue} bytes and more put behind the archive; fetch the file again.",
                file.Length)
            : new InvalidCheckpointException(
                CheckpointErrorCode.ZeroFilled,
                file.Path,
                $"the last {tail.Length} bytes are zeros only, where a zip archive lists its entries: an interrupted download leaves this; fetch the file again.",
                file.Format,
                file.Length - tail.Length);

    private static EndFields ReadPlain(ReadOnlySpan<byte> record) => new(
        Disc: BinaryPrimitives.ReadUInt16LittleEndian(record[4..]),
        DirectoryDisc: BinaryPrimitives.ReadUInt16LittleEndian(record[6..]),
        EntriesHere: BinaryPrimitives.ReadUInt16LittleEndian(record[8..]),
        Entries: BinaryPrimitives.ReadUInt16LittleEndian(record[10..]),
        DirectoryBytes: BinaryPrimitives.ReadUInt32LittleEndian(record[12..]),
        Directory: BinaryPrimitives.ReadUInt32LittleEndian(record[16..]));

    private static async ValueTask<(EndFields End, long Offset)> ReadZip64Async(
        CheckpointFile file, EndFields plain, byte[] locator, long locatorOffset, CancellationToken cancellationToken)
    {
        var disc = BinaryPrimitives.ReadUInt32LittleEndian(locator.AsSpan(4));
        var offset = BinaryPrimitives.ReadInt64LittleEndian(locator.AsSpan(8));
        var discs = BinaryPrimitives.ReadUInt32LittleEndian(locator.AsSpan(16));
        // Some writers count no disc where there is one.
        if (disc != 0 || discs > 1)
        {
            throw OfSeveralDiscs(file, locatorOffset);
        }

        if (offset < 0 || offset > locatorOffset - ZipConstants.Zip64EndBytes)
        {
            throw ZipFailure.Of(
                file,
                $"the ZIP64 end record should lie at byte {(ulong)offset}, and the archive has room for it up to byte {locatorOffset - ZipConstants.Zip64EndBytes}.",
                locatorOffset);
        }

        var record = new byte[ZipConstants.Zip64EndBytes];
        await file.Source.ReadExactlyAsync(offset, record, cancellationToken).ConfigureAwait(false);
        var signature = BinaryPrimitives.ReadUInt32LittleEndian(record);
        if (signature != ZipConstants.Zip64EndSignature)
        {
            throw ZipFailure.Of(file, $"the ZIP64 end record begins with {signature:X8} instead of {ZipConstants.Zip64EndSignature:X8}.", offset);
        }

        // Python's zipfile takes what stands right before the locator, others what the locator points to: no more than one record
        // may lie there. Nobody writes the extensible data that the specification has room for.
        var size = BinaryPrimitives.ReadUInt64LittleEndian(record.AsSpan(4));
        if (offset != locatorOffset - ZipConstants.Zip64EndBytes || size != ZipConstants.Zip64EndBytes - ZipConstants.Zip64EndUncounted)
        {
            throw ZipFailure.Of(
                file,
                $"the ZIP64 end record says it has {size} bytes, and {locatorOffset - offset - ZipConstants.Zip64EndUncounted} are between it and its locator; "
                + $"it must have {ZipConstants.Zip64EndBytes - ZipConstants.Zip64EndUncounted} and stand right before it.",
                offset);
        }

        var end = new EndFields(
            Disc: BinaryPrimitives.ReadUInt32LittleEndian(record.AsSpan(16)),
            DirectoryDisc: BinaryPrimitives.ReadUInt32LittleEndian(record.AsSpan(20)),
            EntriesHere: BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(24)),
            Entries: BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(32)),
            DirectoryBytes: BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(40)),
            Directory: BinaryPrimitives.ReadInt64LittleEndian(record.AsSpan(48)));

        // Two records that contradict each other make two archives of one file, by who reads it.
        if (!Agrees(plain.Entries, end.Entries, ZipConstants.In64Of16)
            || !Agrees(plain.DirectoryBytes, end.DirectoryBytes, ZipConstants.In64Of32)
            || !Agrees(plain.Directory, end.Directory, ZipConstants.In64Of32))
        {
            throw ZipFailure.Of(
                file,
                $"the two end records contradict each other: {end.Entries} entries in {end.DirectoryBytes} bytes at {end.Directory}, and {plain.Entries} in "
                + $"{plain.DirectoryBytes} at {plain.Directory}.",
                offset);
        }

        return (end, offset);

        static bool Agrees(long plain, long large, long placeholder) => plain == placeholder || plain == large;
    }

    private static void Check(CheckpointFile file, EndFields end, long offset)
    {
        var isDisc16 = end is { Disc: 0 or ZipConstants.In64Of16, DirectoryDisc: 0 or ZipConstants.In64Of16 };
        if (!isDisc16 || end.EntriesHere != end.Entries)
        {
            throw OfSeveralDiscs(file, offset);
        }

        // Nothing may lie between: whoever counts from the end would find another directory than who counts from the start.
        if (end.Directory < 0 || end.DirectoryBytes < 0 || end.Directory > offset || end.DirectoryBytes != offset - end.Directory)
        {
            throw ZipFailure.Of(
                file,
                $"the directory should have {end.DirectoryBytes} bytes at byte {end.Directory} and end where the end record begins, at {offset}. The file was cut, "
                + "joined with another or changed; fetch it again.",
                offset);
        }

        if (end.Entries < 0 || end.Entries > end.DirectoryBytes / ZipConstants.CentralBytes)
        {
            throw ZipFailure.Of(
                file,
                $"the end record counts {(ulong)end.Entries} entries, and a directory of {end.DirectoryBytes} bytes holds {end.DirectoryBytes / ZipConstants.CentralBytes} at most.",
                offset);
        }
    }

    private static InvalidCheckpointException OfSeveralDiscs(CheckpointFile file, long offset) =>
        ZipFailure.Of(file, "the zip archive is split over several discs; join its parts with 'zip -s 0' first.", offset);

    private readonly record struct EndFields(long Disc, long DirectoryDisc, long EntriesHere, long Entries, long DirectoryBytes, long Directory);
}
