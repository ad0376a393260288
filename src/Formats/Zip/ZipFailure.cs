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
}
