using IlgpuLoader.Cli.Output;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Cli.Commands;

/// <summary>What <c>--force</c> may replace.</summary>
internal static class OutputFolder
{
    /// <summary>
    /// Refuses a folder that holds something other than a checkpoint: replacing removes it whole, and one slip of the keyboard
    /// must not take a home directory with it.
    /// </summary>
    /// <exception cref="UsageException">It does.</exception>
    public static async Task ThrowIfOthersWouldGoAsync(string path, CancellationToken cancellationToken)
    {
        string[] entries = Directory.Exists(path) ? [.. Directory.EnumerateFileSystemEntries(path).Order(StringComparer.Ordinal)] : [];
        var parts = await PartsAsync(entries, cancellationToken).ConfigureAwait(false);
        if (Array.Find(entries, entry => Directory.Exists(entry) || !(MayReplace(Path.GetFileName(entry)) || parts.Contains(Path.GetFileName(entry)))) is { } other)
        {
            throw new UsageException(
                $"{path}: --force replaces checkpoints only, and this folder also has {Quoted.Name(Path.GetFileName(other))}.");
        }

        // Configurations alone may be anybody's.
        if (entries.Length > 0 && !Array.Exists(entries, entry => ShardNames.Includes(Path.GetFileName(entry)) || parts.Contains(Path.GetFileName(entry))))
        {
            throw new UsageException($"{path}: --force replaces checkpoints only, and this folder has no weights.");
        }
    }

    // Of manifests only those that could be read are ours.
    private static bool MayReplace(string name) => CheckpointConverter.MayReplace(name) && !RankManifest.IsFileName(name);

    // The shares of ranks: what their manifests list, and without manifests what vLLM calls them.
    private static async Task<HashSet<string>> PartsAsync(string[] entries, CancellationToken cancellationToken)
    {
        var parts = new HashSet<string>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (ShardFilePattern.Default.IsPart(Path.GetFileName(entry)))
            {
                _ = parts.Add(Path.GetFileName(entry));
            }
            else if (RankManifest.IsFileName(Path.GetFileName(entry)))
            {
                try
                {
                    parts.UnionWith((await RankManifest.ReadAsync(entry, cancellationToken).ConfigureAwait(false)).Files.Select(file => file.Name));
                    _ = parts.Add(Path.GetFileName(entry));
                }
                catch (CheckpointException)
                {
                    // What it is and lists nobody knows, so that none of it may go.
                }
            }
        }

        return parts;
    }

    /// <summary>Refuses a folder that has something in it, and names the option that allows it, which the library does not know.</summary>
    /// <exception cref="IOException">It has.</exception>
    public static void ThrowIfNotEmpty(string path)
    {
        if (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())
        {
            throw new IOException($"{path}: this already exists and would be replaced; choose another name, or allow it (--force).");
        }
    }
}
