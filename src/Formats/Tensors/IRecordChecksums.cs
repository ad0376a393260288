namespace IlgpuLoader.Formats;

/// <summary>The checksums that a container has of its own records, to be held against their bytes. Safe for any thread.</summary>
internal interface IRecordChecksums
{
    /// <summary>How many bytes a check reads.</summary>
    long ByteLength { get; }

    /// <summary>Reads every record that has a checksum, once.</summary>
    /// <param name="progress">Told of the bytes read since it was told last, from several threads; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <returns>What does not agree, in the order of the file.</returns>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">The file ended while it was read.</exception>
    ValueTask<RecordChecksumFindings> CheckAsync(Action<long>? progress, CancellationToken cancellationToken);
}
