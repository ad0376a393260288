namespace IlgpuLoader.Formats.Zip;

/// <summary>Errors in zip archives, with what every one of them names: the file, the entry and the offset.</summary>
internal static class ZipFailure
{
    /// <summary>An archive that breaks a rule.</summary>
    /// <param name="file">The archive.</param>
    /// <param name="problem">What is wrong: expected, actual, and what to do.</param>
    /// <param name="offset">Where, in bytes from the start of the file.</param>
    public static InvalidCheckpointException Of(CheckpointFile file, string problem, long? offset) =>
        new(CheckpointErrorCode.ArchiveInvalid, file.Path, problem, file.Format, offset);

    /// <summary>An entry that breaks a rule.</summary>
    /// <param name="file">The archive.</param>
    /// <param name="entry">The entry's name.</param>
    /// <param name="problem">What is wrong: expected, actual, and what to do.</param>
    /// <param name="offset">Where, in bytes from the start of the file.</param>
    /// <param name="inner">What was caught, if anything.</param>
    public static InvalidCheckpointException Of(CheckpointFile file, string entry, string problem, long? offset, Exception? inner = null) =>
        new(CheckpointErrorCode.ArchiveInvalid, file.Path, $"zip entry {Quoted.Name(entry)}: {problem}", file.Format, offset, innerException: inner);

    /// <summary>Holds the bytes of a record against its checksum, where it has one.</summary>
    /// <param name="file">The archive.</param>
    /// <param name="entry">The record.</param>
    /// <param name="actual">The CRC-32 of its bytes.</param>
    /// <exception cref="InvalidCheckpointException">It is another.</exception>
    public static void ThrowIfChanged(CheckpointFile file, ZipEntry entry, uint actual)
    {
        if (entry.HasChecksum && actual != entry.Crc32)
        {
            throw Of(
                file,
                entry.Name,
                $"its bytes have the CRC-32 {actual:X8}, and the directory says {entry.Crc32:X8}. The file was changed; fetch it again.",
                entry.DataOffset);
        }
    }
}
