using System.Collections.Immutable;
using System.Security.Cryptography;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;

namespace IlgpuLoader.Loading;

/// <summary>Holds the headers of a rank's files against its manifest: strides, ties and views stand there, which no tensor's hash knows of. Safe for any thread.</summary>
internal static class HeaderCheck
{
    private const int PieceBytes = 1 << 20;

    /// <summary>Checks the files.</summary>
    /// <param name="place">Where they are, for messages.</param>
    /// <param name="checkpoint">The rank's files, opened: their headers are whole.</param>
    /// <param name="manifest">The rank's manifest, which lists them.</param>
    /// <param name="cancellationToken">Ends the reading within one piece.</param>
    /// <exception cref="InvalidCheckpointException">The manifest does not say what a header is.</exception>
    /// <exception cref="ManifestMismatchException">Headers differ; the exception has all of them.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static async Task EnsureAsync(ICheckpointPlace place, Checkpoint checkpoint, RankManifest manifest, CancellationToken cancellationToken)
    {
        var listed = manifest.Files.ToDictionary(file => file.Name, StringComparer.Ordinal);
        var mismatches = ImmutableArray.CreateBuilder<FileMismatch>();
        foreach (var file in checkpoint.Files)
        {
            var name = Path.GetFileName(file.Path);
            if (listed[name].HeaderSha256 is not { } expected)
            {
                throw new InvalidCheckpointException(
                    CheckpointErrorCode.ManifestInvalid,
                    place.PathOf(RankManifest.FileName(manifest.Rank)),
                    $"it has no header_sha256 for the file {Quoted.Name(name)}, which is safetensors. Save the state again.",
                    "manifest");
            }

            var (actual, length) = await HashAsync(file.Source, cancellationToken).ConfigureAwait(false);
            if (actual != expected)
            {
                mismatches.Add(new FileMismatch(name, $"its header of {length} bytes has the SHA-256 {actual}, expected was {expected}"));
            }
        }

        if (mismatches.Count > 0)
        {
            throw new ManifestMismatchException(place.Name, mismatches.ToImmutable());
        }
    }

    private static async Task<(string Sha256, long Length)> HashAsync(IByteSource source, CancellationToken cancellationToken)
    {
        var length = await SafetensorsHeaderLength.ReadAsync(source, cancellationToken).ConfigureAwait(false);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[(int)Math.Min(PieceBytes, length)];
        for (long done = 0; done < length;)
        {
            var piece = buffer.AsMemory(0, (int)Math.Min(buffer.Length, length - done));
            await source.ReadExactlyAsync(done, piece, cancellationToken).ConfigureAwait(false);
            hash.AppendData(piece.Span);
            done += piece.Length;
        }

        return (Convert.ToHexStringLower(hash.GetHashAndReset()), length);
    }
}
