using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>
/// Checks folders that hold the shares of several ranks: their manifests, the bytes of every file, and the structure of each.
/// Safe for any thread.
/// </summary>
public static class RankFolderVerifier
{
    /// <summary>Whether a path is a folder with the shares of ranks: with <c>rank-N.json</c>, or files called <c>model-rank-N-part-M.safetensors</c>.</summary>
    /// <exception cref="IOException">The folder cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be listed.</exception>
    public static bool IsRankFolder(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        return Directory.Exists(path) && RankFiles.AreIn(path);
    }

    /// <summary>Warns of files that are named as parts of ranks and that no manifest lists: nothing reads them.</summary>
    /// <param name="place">Where they are.</param>
    /// <param name="names">The base names of the files there.</param>
    /// <param name="manifests">The manifests of all ranks.</param>
    /// <param name="isPart">Whether a base name is that of a part.</param>
    internal static ImmutableArray<CheckpointWarning> FindUnlisted(ICheckpointPlace place, IEnumerable<string> names, ImmutableArray<RankManifest> manifests, Func<string, bool> isPart)
    {
        var listed = manifests.SelectMany(manifest => manifest.Files).Select(file => file.Name).ToHashSet(StringComparer.Ordinal);
        return [.. names.Where(name => !listed.Contains(name) && isPart(name)).Order(NaturalOrder.Instance)
            .Select(name => new CheckpointWarning(place.PathOf(name), "no manifest of a rank lists it: it is not of this state, and nothing reads it."))];
    }

    /// <summary>
    /// Checks one folder: the bytes of every file, the names, dtypes, shapes and bytes of every tensor. What is wrong with it is in the result, not thrown; one without manifests has a warning, and so has a part that no
    /// manifest lists.
    /// </summary>
    /// <param name="path">The folder.</param>
    /// <param name="options">What to accept of each file; null for the defaults.</param>
    /// <param name="inspect">A further check of each opened file, which throws as opening does where something is wrong; null for none.</param>
    /// <param name="progress">Told how many of the files' bytes were held against the manifests so far.</param>
    /// <param name="cancellationToken">Cancels the check.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static async Task<VerificationResult> VerifyAsync(
        string path,
        CheckpointOptions? options = null,
        Func<Checkpoint, CancellationToken, Task>? inspect = null,
        IProgress<long>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var warnings = ImmutableArray.CreateBuilder<CheckpointWarning>();
        try
        {
            var manifests = await RankManifest.ReadFolderAsync(path, cancellationToken).ConfigureAwait(false);
            string[] files;
            if (manifests.IsEmpty)
            {
                warnings.Add(new CheckpointWarning(
                    path, "not verified: there are no manifests of ranks (rank-N.json) that say which ranks and bytes are expected; only the structure of each file is checked."));
                files = [.. RankFiles.Find(path)];
            }
            else
            {
                var place = new LocalPlace(path);
                warnings.AddRange(FindUnlisted(place, await place.ListAsync(cancellationToken).ConfigureAwait(false), manifests, RankFiles.IsPart));
                await RankManifestVerifier.EnsureAsync(path, manifests, await RankTensors.OpenAsync(path, manifests, options, cancellationToken).ConfigureAwait(false), progress, cancellationToken).ConfigureAwait(false);
                files = [.. manifests.SelectMany(manifest => manifest.Files).Select(file => Path.Combine(path, file.Name))];
            }

            foreach (var file in files)
            {
                var result = await CheckpointVerifier.VerifyAsync(file, options, inspect, cancellationToken).ConfigureAwait(false);
                // What each file says of the configuration beside it is the same.
                warnings.AddRange(result.Warnings.Except(warnings));
                if (!result.IsValid)
                {
                    return new VerificationResult(path, result.Failure, warnings.ToImmutable());
                }
            }

            return new VerificationResult(path, null, warnings.ToImmutable());
        }
        catch (Exception exception) when (exception is CheckpointException or IOException or UnauthorizedAccessException)
        {
            return new VerificationResult(path, exception, warnings.ToImmutable());
        }
    }
}
