namespace IlgpuLoader.Formats.Zip;

/// <summary>Signatures, sizes and flags of the zip format (PKWARE's APPNOTE.TXT 6.3.10, section 4).</summary>
internal static class ZipConstants
{
    public const uint LocalSignature = 0x04034b50;
    public const uint CentralSignature = 0x02014b50;
    public const uint EndSignature = 0x06054b50;
    public const uint Zip64EndSignature = 0x06064b50;
    public const uint Zip64LocatorSignature = 0x07064b50;

    public const int LocalBytes = 30;
    public const int CentralBytes = 46;
    public const int EndBytes = 22;
    public const int Zip64EndBytes = 56;
    public const int Zip64LocatorBytes = 20;

    /// <summary>The bytes of the ZIP64 end record that its own size field does not count.</summary>
    public const int Zip64EndUncounted = 12;

    public const ushort Stored = 0;
    public const ushort Deflated = 8;

    public const ushort EncryptedFlag = 1 << 0;
    public const ushort DescriptorFlag = 1 << 3;
    public const ushort StrongEncryptionFlag = 1 << 6;
    public const ushort Utf8Flag = 1 << 11;
    public const ushort MaskedHeaderFlag = 1 << 13;

    public const ushort Zip64Field = 0x0001;

    /// <summary>Instead of a number of 16 or 32 bits: the number is in the ZIP64 record or field.</summary>
    public const ushort In64Of16 = ushort.MaxValue;

    /// <inheritdoc cref="In64Of16"/>
    public const uint In64Of32 = uint.MaxValue;
}
