using System.Buffers.Binary;
using System.Text;

namespace IlgpuLoader.Formats.Zip;

/// <summary>Where everything goes in an archive that is written, and the bytes of its headers. Immutable; safe for any thread.</summary>
/// <remarks>
/// All lengths are known before a byte is written, so that headers need no descriptors behind the data. ZIP64 fields are there
/// only where a number needs them: readers of 32 bits exist.
/// </remarks>
internal sealed class ZipLayout
{
    // PyTorch's alignment (kFieldAlignment in caffe2/serialize/inline_container.cc), which lets a mapped file be used in place.
    private const int Alignment = 64;

    private const int FieldHeaderBytes = 4;

    // The first day that the format has, instead of today: the same content gives the same bytes.
    private const ushort FirstDate = (1 << 5) | 1;

    private const ushort Version20 = 20;
    private const ushort Version45 = 45;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    private readonly IReadOnlyList<ZipRecordPlan> _records;
    private readonly byte[][] _names;
    private readonly long[] _headers;
    private readonly long[] _data;

    /// <summary>Lays out records in the order they are given.</summary>
    /// <exception cref="ArgumentException">A name is not allowed or occurs twice.</exception>
    /// <exception cref="OverflowException">The sizes do not fit 64 bits.</exception>
    public ZipLayout(IReadOnlyList<ZipRecordPlan> records)
    {
        _records = records;
        _names = Encode(records);
        _headers = new long[records.Count];
        _data = new long[records.Count];
        long position = 0;
        for (var i = 0; i < records.Count; i++)
        {
            _headers[i] = position;
            var padding = ZipConstants.LocalBytes + _names[i].Length + LargeFieldBytes(records[i].Length) + FieldHeaderBytes;
            _data[i] = checked(position + padding + Alignment - 1) / Alignment * Alignment;
            position = checked(_data[i] + records[i].Length);
        }

        DirectoryOffset = position;
        for (var i = 0; i < records.Count; i++)
        {
            DirectoryBytes += CentralLength(i);
        }

        Length = checked(DirectoryOffset + DirectoryBytes + EndLength);
    }

    /// <summary>Where the directory begins.</summary>
    public long DirectoryOffset { get; }

    /// <summary>The size of the directory without the end records.</summary>
    public long DirectoryBytes { get; }

    /// <summary>The size of the archive.</summary>
    public long Length { get; }

    private bool NeedsZip64 =>
        _records.Count >= ZipConstants.In64Of16 || DirectoryOffset >= ZipConstants.In64Of32 || DirectoryBytes >= ZipConstants.In64Of32;

    private int EndLength => (NeedsZip64 ? ZipConstants.Zip64EndBytes + ZipConstants.Zip64LocatorBytes : 0) + ZipConstants.EndBytes;

    /// <summary>Where the header of a record begins.</summary>
    public long HeaderOffset(int record) => _headers[record];

    /// <summary>Where the bytes of a record begin.</summary>
    public long DataOffset(int record) => _data[record];

    /// <summary>The header before a record, with what aligns its bytes and those that are known.</summary>
    public byte[] LocalHeader(int record, uint crc)
    {
        var plan = _records[record];
        var isLarge = LargeFieldBytes(plan.Length) > 0;
        var header = new byte[checked((int)(_data[record] - _headers[record] + plan.Content.Length))];
        var extra = ZipConstants.LocalBytes + _names[record].Length;
        var extraLength = (int)(_data[record] - _headers[record]) - extra;
        BinaryPrimitives.WriteUInt32LittleEndian(header, ZipConstants.LocalSignature);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), isLarge ? Version45 : Version20);
        WriteCommon(header.AsSpan(6), record, crc, extraLength);
        _names[record].CopyTo(header, ZipConstants.LocalBytes);
        var rest = header.AsSpan(extra, extraLength);
        if (isLarge)
        {
            WriteField(rest, [plan.Length, plan.Length]);
            rest = rest[LargeFieldBytes(plan.Length)..];
        }

        // PyTorch's padding field, by its name.
        "FB"u8.CopyTo(rest);
        BinaryPrimitives.WriteUInt16LittleEndian(rest[2..], (ushort)(rest.Length - FieldHeaderBytes));
        rest[FieldHeaderBytes..].Fill((byte)'Z');
        plan.Content.Span.CopyTo(header.AsSpan(extra + extraLength));
        return header;
    }

    /// <summary>The directory with the end records.</summary>
    /// <param name="crcs">The CRC-32 of each record.</param>
    public byte[] Directory(ReadOnlySpan<uint> crcs)
    {
        var bytes = new byte[checked(DirectoryBytes + EndLength)];
        var rest = bytes.AsSpan();
        for (var i = 0; i < _records.Count; i++)
        {
            WriteCentral(rest, i, crcs[i]);
            rest = rest[CentralLength(i)..];
        }

        WriteEnd(rest);
        return bytes;
    }

    private static byte[][] Encode(IReadOnlyList<ZipRecordPlan> records)
    {
        var names = new byte[records.Count][];
        var seen = new HashSet<string>(records.Count, StringComparer.Ordinal);
        for (var i = 0; i < names.Length; i++)
        {
            var name = records[i].Name;
            try
            {
                names[i] = Strict.GetBytes(name);
            }
            catch (EncoderFallbackException exception)
            {
                throw new ArgumentException($"A zip entry may not be named {Quoted.Name(name)}: it has half of a surrogate pair.", nameof(records), exception);
            }

            var objection = names[i].Length > ushort.MaxValue ? $"has {names[i].Length} bytes, and {ushort.MaxValue} are the most" : ZipName.Objection(name);
            if (objection is not null)
            {
                throw new ArgumentException($"A zip entry may not be named {Quoted.Name(name)}: the name {objection}.", nameof(records));
            }

            if (!seen.Add(name))
            {
                throw new ArgumentException($"Two zip entries are named {Quoted.Name(name)}.", nameof(records));
            }
        }

        return names;
    }

    private static int LargeFieldBytes(long length) => length >= ZipConstants.In64Of32 ? FieldHeaderBytes + (2 * sizeof(long)) : 0;

    private int CentralLength(int record) => ZipConstants.CentralBytes + _names[record].Length + FieldBytes(CentralNumbers(record).Length);

    private static int FieldBytes(int numbers) => numbers == 0 ? 0 : FieldHeaderBytes + (numbers * sizeof(long));

    // In the order of the field: length, compressed length, offset; those that do not fit 32 bits.
    private long[] CentralNumbers(int record)
    {
        var length = _records[record].Length;
        return (length >= ZipConstants.In64Of32, _headers[record] >= ZipConstants.In64Of32) switch
        {
            (true, true) => [length, length, _headers[record]],
            (true, false) => [length, length],
            (false, true) => [_headers[record]],
            _ => [],
        };
    }

    private void WriteCentral(Span<byte> header, int record, uint crc)
    {
        var numbers = CentralNumbers(record);
        BinaryPrimitives.WriteUInt32LittleEndian(header, ZipConstants.CentralSignature);
        BinaryPrimitives.WriteUInt16LittleEndian(header[4..], Version45);
        BinaryPrimitives.WriteUInt16LittleEndian(header[6..], numbers.Length > 0 ? Version45 : Version20);
        WriteCommon(header[8..], record, crc, FieldBytes(numbers.Length));
        BinaryPrimitives.WriteUInt32LittleEndian(header[42..], (uint)Math.Min(_headers[record], ZipConstants.In64Of32));
        _names[record].CopyTo(header[ZipConstants.CentralBytes..]);
        if (numbers.Length > 0)
        {
            WriteField(header[(ZipConstants.CentralBytes + _names[record].Length)..], numbers);
        }
    }

    // From the flags to the length of the extra fields, which both headers have in the same order.
    private void WriteCommon(Span<byte> fields, int record, uint crc, int extraLength)
    {
        var length = (uint)Math.Min(_records[record].Length, ZipConstants.In64Of32);
        BinaryPrimitives.WriteUInt16LittleEndian(fields, ZipConstants.Utf8Flag);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[2..], ZipConstants.Stored);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[6..], FirstDate);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[8..], crc);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[12..], length);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[16..], length);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[20..], (ushort)_names[record].Length);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[22..], (ushort)extraLength);
    }

    private static void WriteField(Span<byte> field, ReadOnlySpan<long> numbers)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(field, ZipConstants.Zip64Field);
        BinaryPrimitives.WriteUInt16LittleEndian(field[2..], (ushort)(numbers.Length * sizeof(long)));
        for (var i = 0; i < numbers.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(field[(FieldHeaderBytes + (i * sizeof(long)))..], numbers[i]);
        }
    }

    private void WriteEnd(Span<byte> end)
    {
        if (NeedsZip64)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(end, ZipConstants.Zip64EndSignature);
            BinaryPrimitives.WriteInt64LittleEndian(end[4..], ZipConstants.Zip64EndBytes - ZipConstants.Zip64EndUncounted);
            BinaryPrimitives.WriteUInt16LittleEndian(end[12..], Version45);
            BinaryPrimitives.WriteUInt16LittleEndian(end[14..], Version45);
            BinaryPrimitives.WriteInt64LittleEndian(end[24..], _records.Count);
            BinaryPrimitives.WriteInt64LittleEndian(end[32..], _records.Count);
            BinaryPrimitives.WriteInt64LittleEndian(end[40..], DirectoryBytes);
            BinaryPrimitives.WriteInt64LittleEndian(end[48..], DirectoryOffset);
            end = end[ZipConstants.Zip64EndBytes..];
            BinaryPrimitives.WriteUInt32LittleEndian(end, ZipConstants.Zip64LocatorSignature);
            BinaryPrimitives.WriteInt64LittleEndian(end[8..], DirectoryOffset + DirectoryBytes);
            BinaryPrimitives.WriteUInt32LittleEndian(end[16..], 1);
            end = end[ZipConstants.Zip64LocatorBytes..];
        }

        var count = (ushort)Math.Min(_records.Count, ZipConstants.In64Of16);
        BinaryPrimitives.WriteUInt32LittleEndian(end, ZipConstants.EndSignature);
        BinaryPrimitives.WriteUInt16LittleEndian(end[8..], count);
        BinaryPrimitives.WriteUInt16LittleEndian(end[10..], count);
        BinaryPrimitives.WriteUInt32LittleEndian(end[12..], (uint)Math.Min(DirectoryBytes, ZipConstants.In64Of32));
        BinaryPrimitives.WriteUInt32LittleEndian(end[16..], (uint)Math.Min(DirectoryOffset, ZipConstants.In64Of32));
    }
}
