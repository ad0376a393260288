using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>
/// Holds the bytes of a checkpoint against the checksums that its files have of them: the CRC-32 of each record of PyTorch's and
/// NumPy's archives. Other formats have none. Safe for any thread.
/// </summary>
public static class StoredChecksums
{
    /// <summary>How many bytes <see cref="EnsureAsync"/> reads; 0 where no file has checksums.</summary>
    public static long ByteLength(Checkpoint checkpoint)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return checkpoint.Files.Sum(file => file.Checksums?.ByteLength ?? 0);
    }

    /// <summary>Reads all records once, in bounded memory, and throws where one is not what was written.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="progress">Told how many bytes have been read, from several threads; must return soon.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <returns>What could not be held against anything.</returns>
    /// <exception cref="InvalidCheckpointException">
    /// The bytes of a record are others (<see cref="CheckpointErrorCode.ArchiveInvalid"/>), or a file was cut while it was read.
    /// </exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static async Task<ImmutableArray<CheckpointWarning>> EnsureAsync(
        Checkpoint checkpoint, IProgress<long>? progress = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        var warnings = ImmutableArray.CreateBuilder<CheckpointWarning>();
        long done = 0;
        Action<long>? told = progress is null ? null : bytes => progress.Report(Interlocked.Add(ref done, bytes));
        foreach (var file in checkpoint.Files)
        {
            if (file.Checksums is not { } checksums)
            {
                continue;
            }

            var found = await checksums.CheckAsync(told, cancellationToken).ConfigureAwait(false);
            if (found.Mismatches.Count > 0)
            {
                throw Describe(checkpoint, file, found.Mismatches);
            }

            if (found.Without > 0)
            {
                warnings.Add(new CheckpointWarning(
                    file.Path, $"{found.Without} of its records have no CRC-32 (PyTorch can be told to compute none), and are held against nothing."));
            }

            if (found.Unreadable > 0)
            {
                warnings.Add(new CheckpointWarning(
                    file.Path, $"{found.Unreadable} of its records are encrypted or compressed in another way than deflate, and are held against nothing."));
            }
        }

        return warnings.ToImmutable();
    }

    private static InvalidCheckpointException Describe(Checkpoint checkpoint, CheckpointFile file, IReadOnlyList<RecordMismatch> mismatches)
    {
        const int shown = 3;
        var first = mismatches[0];
        string[] tensors = [.. checkpoint.Tensors
            .Where(tensor => tensor.File == file && tensor.Offset >= first.Offset && tensor.Offset - first.Offset < first.Length)
            .Select(tensor => tensor.Name)];
        var also = tensors.Length > 1
            ? $", which tensors {string.Join(", ", tensors.Take(shown).Select(Quoted.Name))}{(tensors.Length > shown ? ", …" : "")} lie in,"
            : "";
        var more = mismatches.Count switch
        {
            1 => "",
            2 => "; and one more record is damaged",
            var count => $"; and {count - 1} more records are damaged",
        };
        return new InvalidCheckpointException(
            CheckpointErrorCode.ArchiveInvalid,
            file.Path,
            $"record {Quoted.Name(first.Record)}{also} {first.Problem}{more}. The file was changed after it was written; fetch it again.",
            file.Format,
            first.Offset,
            tensors.FirstOrDefault());
    }
}
