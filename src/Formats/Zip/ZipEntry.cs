namespace IlgpuLoader.Formats.Zip;

/// <summary>One record of a zip archive, as its directory describes it. Safe for any thread once the directory was read.</summary>
internal sealed record ZipEntry
{
    /// <summary>The path inside the archive: relative, with forward slashes, without <c>..</c>.</summary>
    public required string Name { get; init; }

    /// <summary>Where the local header begins, in bytes from the start of the file.</summary>
    public required long HeaderOffset { get; init; }

    /// <summary>Where the record's bytes begin, in bytes from the start of the file.</summary>
    /// <remarks>Known from the local header, which has an extra field of its own length.</remarks>
    public long DataOffset { get; private set; }

    /// <summary>How many bytes the record takes in the file.</summary>
    public required long CompressedLength { get; init; }

    /// <summary>How many bytes the record has.</summary>
    public required long Length { get; init; }

    /// <summary>The CRC-32 of the record's bytes; 0 where none was computed.</summary>
    public required uint Crc32 { get; init; }

    /// <summary>
    /// Whether there is a CRC-32 to hold the bytes against. PyTorch writes 0 where it was told to compute none
    /// (torch.serialization.set_crc32_options(False)), and a record whose CRC really is 0 passes just as well.
    /// </summary>
    public bool HasChecksum => Crc32 != 0;

    /// <summary>The compression method's number.</summary>
    public required ushort Method { get; init; }

    /// <summary>The general purpose flags.</summary>
    public required ushort Flags { get; init; }

    /// <summary>Whether the bytes stand in the file as they are.</summary>
    public bool IsStored => Method == ZipConstants.Stored && !IsEncrypted;

    /// <summary>Whether the bytes are compressed with deflate.</summary>
    public bool IsDeflated => Method == ZipConstants.Deflated && !IsEncrypted;

    /// <summary>Whether a key is needed to read the bytes.</summary>
    public bool IsEncrypted =>
        (Flags & (ZipConstants.EncryptedFlag | ZipConstants.StrongEncryptionFlag | ZipConstants.MaskedHeaderFlag)) != 0;

    /// <summary>Whether the local header may leave CRC and sizes to a descriptor behind the data.</summary>
    public bool HasDescriptor => (Flags & ZipConstants.DescriptorFlag) != 0;

    /// <summary>Whether this is only the name of a folder.</summary>
    public bool IsFolder => Name.EndsWith('/');

    /// <summary>Sets where the bytes begin, once.</summary>
    public void Locate(long dataOffset) => DataOffset = dataOffset;

    /// <summary>The name.</summary>
    public override string ToString() => Name;
}
