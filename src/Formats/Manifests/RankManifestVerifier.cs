using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;

namespace IlgpuLoader.Formats;

/// <summary>Holds the files of a folder against the manifests of its ranks. Safe for any thread.</summary>
public static class RankManifestVerifier
{
    // What a disk gives at its full speed in one call, and a cancellation waits for.
    private const int PieceBytes = 1 << 20;

    /// <summary>
    /// Checks that the files which manifests list are there, have their sizes, and have the SHA-256 that is recorded. Every byte
    /// is read, in bounded memory.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="manifests">The manifests of all ranks (<see cref="RankManifest.ReadFolderAsync"/>), or of those that are wanted.</param>
    /// <param name="progress">Told how many bytes were read so far, all files together.</param>
    /// <param name="cancellationToken">Cancels the check.</param>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="InvalidCheckpointException">A file is not there.</exception>
    /// <exception cref="ManifestMismatchException">Files have other bytes; the exception has all of them.</exception>
    public static Task EnsureAsync(
        string folder, IEnumerable<RankManifest> manifests, IProgress<long>? progress = null, CancellationToken cancellationToken = default) =>
        EnsureAsync(folder, manifests, null, progress, cancellationToken);

    /// <summary>The same, with what is known of the files' tensors held against the manifests in the one pass.</summary>
    internal static async Task EnsureAsync(
        string folder, IEnumerable<RankManifest> manifests, RankTensors? tensors, IProgress<long>? progress, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        ArgumentNullException.ThrowIfNull(manifests);
        ImmutableArray<(ManifestFile File, int Rank)> files = [
            .. manifests.SelectMany(manifest => manifest.Files.Select(file => (file, manifest.Rank))),
            // Every rank lists them, and they are there once.
            .. manifests.SelectMany(manifest => manifest.Carried.Select(file => (File: file, manifest.Rank))).DistinctBy(carried => carried.File)];
        foreach (var (file, rank) in files)
        {
            if (!File.Exists(Path.Combine(folder, file.Name)))
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.ShardMissing, folder, $"the file {Quoted.Name(file.Name)} of rank {rank} is not there; fetch the missing file, or save the state again.");
            }
        }

        var mismatches = ImmutableArray.CreateBuilder<FileMismatch>();
        var different = ImmutableArray.CreateBuilder<ManifestMismatch>();
        different.AddRange(tensors?.Mismatches ?? []);
        var buffer = ArrayPool<byte>.Shared.Rent(PieceBytes);
        try
        {
            long read = 0;
            foreach (var (file, _) in files)
            {
                using var ranges = new RangeHashes(tensors?.Of(file.Name) ?? []);
                if (await CompareAsync(Path.Combine(folder, file.Name), file, ranges, buffer, Report, cancellationToken).ConfigureAwait(false) is { } problem)
                {
                    mismatches.Add(new FileMismatch(file.Name, problem));
                }
                else
                {
                    // Of a file with other bytes it is no news that what is in them differs too.
                    if (ranges.HeaderMismatch is { } header)
                    {
                        mismatches.Add(new FileMismatch(file.Name, $"its header: {header}"));
                    }

                    different.AddRange(ranges.Mismatches);
                }
            }

            void Report(int bytes) => progress?.Report(read += bytes);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (mismatches.Count > 0)
        {
            throw new ManifestMismatchException(folder, mismatches.ToImmutable());
        }

        if (different.Count > 0)
        {
            throw new ManifestMismatchException(folder, different.ToImmutable());
        }
    }

    private static async Task<string?> CompareAsync(
        string path, ManifestFile expected, RangeHashes ranges, byte[] buffer, Action<int> report, CancellationToken cancellationToken)
    {
        var source = new LocalFileSource(path);
        await using (source.ConfigureAwait(false))
        {
            // Other bytes without a look at them.
            if (source.Length != expected.ByteLength)
            {
                return $"it has {source.Length} bytes, expected were {expected.ByteLength}";
            }

            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            for (long done = 0; done < expected.ByteLength;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var piece = buffer.AsMemory(0, (int)Math.Min(PieceBytes, expected.ByteLength - done));
                await source.ReadExactlyAsync(done, piece, cancellationToken).ConfigureAwait(false);
                hash.AppendData(piece.Span);
                ranges.Append(done, piece.Span);
                done += piece.Length;
                report(piece.Length);
            }

            var actual = Convert.ToHexStringLower(hash.GetHashAndReset());
            return actual == expected.Sha256 ? null : $"its {expected.ByteLength} bytes have the SHA-256 {actual}, expected was {expected.Sha256}";
        }
    }
}
