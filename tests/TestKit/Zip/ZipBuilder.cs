using System.Buffers.Binary;
using System.Text;

namespace IlgpuLoader.TestKit;

/// <summary>Makes zip archives by hand, wrong ones too: every field of both headers and of the end can be set.</summary>
public sealed class ZipBuilder
{
    private readonly List<ZipRecord> _records = [];

    /// <summary>The comment of the archive.</summary>
    public byte[] Comment { get; set; } = [];

    /// <summary>Whether a ZIP64 end record and its locator are written.</summary>
    public bool HasZip64End { get; set; }

    /// <summary>Changes the fields of the ZIP64 end record: entries here, entries, bytes of the directory, its offset.</summary>
    public Action<long[]>? ChangeZip64End { get; set; }

    /// <summary>Changes the fields of the end: disc, disc of the directory, entries here, entries, bytes of the directory, its offset.</summary>
    public Action<long[]>? ChangeEnd { get; set; }

    /// <summary>Changes the bytes of the directory's last entry on; what it returns is the directory.</summary>
    public Func<byte[], byte[]>? ChangeDirectory { get; set; }

    /// <summary>Adds a stored record.</summary>
    public ZipBuilder Add(string name, byte[] bytes, Action<ZipRecord>? change = null)
    {
        var record = new ZipRecord(Encoding.UTF8.GetBytes(name), bytes, bytes.Length, ZipRecord.CrcOf(bytes));
        change?.Invoke(record);
        _records.Add(record);
        return this;
    }

    /// <summary>The archive.</summary>
    public byte[] ToBytes()
    {
        var output = new MemoryStream();
        foreach (var record in _records)
        {
            record.WriteLocal(output);
        }

        var directoryOffset = output.Length;
        var directory = new MemoryStream();
        foreach (var record in _records)
        {
            record.WriteCentral(directory);
        }

        var bytes = directory.ToArray();
        bytes = ChangeDirectory?.Invoke(bytes) ?? bytes;
        output.Write(bytes);
        WriteEnd(output, directoryOffset, bytes.Length);
        return output.ToArray();
    }

    private void WriteEnd(MemoryStream output, long directoryOffset, long directoryBytes)
    {
        var zip64Offset = output.Length;
        if (HasZip64End)
        {
            long[] large = [_records.Count, _records.Count, directoryBytes, directoryOffset];
            ChangeZip64End?.Invoke(large);
            var record = new byte[76];
            BinaryPrimitives.WriteUInt32LittleEndian(record, 0x06064b50);
            BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(4), 44);
            BinaryPrimitives.WriteUInt16LittleEndian(record.AsSpan(12), 45);
            BinaryPrimitives.WriteUInt16LittleEndian(record.AsSpan(14), 45);
            for (var i = 0; i < large.Length; i++)
            {
                BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(24 + (8 * i)), large[i]);
            }

            BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(56), 0x07064b50);
            BinaryPrimitives.WriteInt64LittleEndian(record.AsSpan(64), zip64Offset);
            BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(72), 1);
            output.Write(record);
        }

        long[] fields = [0, 0, _records.Count, _records.Count, directoryBytes, directoryOffset];
        ChangeEnd?.Invoke(fields);
        var end = new byte[22];
        BinaryPrimitives.WriteUInt32LittleEndian(end, 0x06054b50);
        for (var i = 0; i < 4; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(4 + (2 * i)), (ushort)fields[i]);
        }

        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(12), (uint)fields[4]);
        BinaryPrimitives.WriteUInt32LittleEndian(end.AsSpan(16), (uint)fields[5]);
        BinaryPrimitives.WriteUInt16LittleEndian(end.AsSpan(20), (ushort)Comment.Length);
        output.Write(end);
        output.Write(Comment);
    }
}
