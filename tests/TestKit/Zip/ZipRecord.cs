using System.Buffers.Binary;
using System.IO.Compression;

namespace IlgpuLoader.TestKit;

/// <summary>One record of a <see cref="ZipBuilder"/>: what its two headers say, and its bytes as they are stored.</summary>
public sealed class ZipRecord
{
    private long _offset;

    /// <summary>A stored record.</summary>
    /// <param name="name">The name in both headers.</param>
    /// <param name="data">The bytes in the file.</param>
    /// <param name="length">The length in both headers.</param>
    /// <param name="crc">The CRC in both headers.</param>
    public ZipRecord(byte[] name, byte[] data, long length, uint crc)
    {
        Data = data;
        Local = new ZipHeader { Name = name, Length = length, CompressedLength = data.Length, Crc = crc };
        Central = new ZipHeader { Name = name, Length = length, CompressedLength = data.Length, Crc = crc };
    }

    /// <summary>The bytes as they stand in the file.</summary>
    public byte[] Data { get; set; }

    /// <summary>Bytes behind the data, such as a descriptor.</summary>
    public byte[] Behind { get; set; } = [];

    /// <summary>The header before the bytes.</summary>
    public ZipHeader Local { get; }

    /// <summary>The header in the directory.</summary>
    public ZipHeader Central { get; }

    /// <summary>What the directory adds to the true offset of the local header.</summary>
    public long OffsetError { get; set; }

    /// <summary>Sets a field of both headers.</summary>
    public void Both(Action<ZipHeader> change)
    {
        ArgumentNullException.ThrowIfNull(change);
        change(Local);
        change(Central);
    }

    /// <summary>Compresses the bytes.</summary>
    public void Deflate()
    {
        var output = new MemoryStream();
        using (var deflater = new DeflateStream(output, CompressionLevel.Optimal))
        {
            deflater.Write(Data);
        }

        Data = output.ToArray();
        Both(header =>
        {
            header.Method = 8;
            header.CompressedLength = Data.Length;
        });
    }

    /// <summary>Bit by bit, as the specification of the polynomial says: the oracle of tests.</summary>
    public static uint CrcOf(ReadOnlySpan<byte> bytes)
    {
        var crc = ~0u;
        foreach (var value in bytes)
        {
            crc ^= value;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc & 1) != 0 ? (crc >> 1) ^ 0xEDB88320 : crc >> 1;
            }
        }

        return ~crc;
    }

    internal void WriteLocal(MemoryStream output)
    {
        _offset = output.Length;
        var header = new byte[30];
        BinaryPrimitives.WriteUInt32LittleEndian(header, Local.Signature ?? 0x04034b50);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), 20);
        Local.Write(header.AsSpan(6));
        output.Write(header);
        output.Write(Local.Name);
        output.Write(Local.Extra);
        output.Write(Data);
        output.Write(Behind);
    }

    internal void WriteCentral(MemoryStream output)
    {
        var header = new byte[46];
        BinaryPrimitives.WriteUInt32LittleEndian(header, Central.Signature ?? 0x02014b50);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(4), 20);
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(6), 20);
        Central.Write(header.AsSpan(8));
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan(34), Central.Disc);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(42), (uint)(_offset + OffsetError));
        output.Write(header);
        output.Write(Central.Name);
        output.Write(Central.Extra);
    }
}
