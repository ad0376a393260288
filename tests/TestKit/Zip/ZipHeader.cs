using System.Buffers.Binary;

namespace IlgpuLoader.TestKit;

/// <summary>What one header of a <see cref="ZipRecord"/> says.</summary>
public sealed class ZipHeader
{
    /// <summary>The first four bytes; null for the right ones.</summary>
    public uint? Signature { get; set; }

    /// <summary>The flags; the names are UTF-8.</summary>
    public ushort Flags { get; set; } = 1 << 11;

    /// <summary>The compression method.</summary>
    public ushort Method { get; set; }

    /// <summary>The CRC-32.</summary>
    public uint Crc { get; set; }

    /// <summary>The length of the stored bytes.</summary>
    public long CompressedLength { get; set; }

    /// <summary>The length of the record.</summary>
    public long Length { get; set; }

    /// <summary>The name.</summary>
    public byte[] Name { get; set; } = [];

    /// <summary>The extra fields.</summary>
    public byte[] Extra { get; set; } = [];

    /// <summary>The disc, in the directory only.</summary>
    public ushort Disc { get; set; }

    // From the flags to the length of the extra fields, which both headers have in the same order.
    internal void Write(Span<byte> fields)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(fields, Flags);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[2..], Method);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[8..], Crc);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[12..], (uint)CompressedLength);
        BinaryPrimitives.WriteUInt32LittleEndian(fields[16..], (uint)Length);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[20..], (ushort)Name.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(fields[22..], (ushort)Extra.Length);
    }
}
