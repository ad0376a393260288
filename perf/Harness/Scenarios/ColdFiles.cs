using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Takes files out of the page cache and makes sure of it: by advice on the files, and as root by dropping all of it.</summary>
internal static class ColdFiles
{
    private const string DropCaches = "/proc/sys/vm/drop_caches";

    /// <summary>Drops files.</summary>
    /// <returns>Null where they are cold now; else why not.</returns>
    public static string? TryDrop(IReadOnlyList<string> paths)
    {
        if (FileResidency.TryDrop(paths) is not { } reason)
        {
            return null;
        }

        try
        {
            File.WriteAllText(DropCaches, "1");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return $"{reason}, and {DropCaches} says: {exception.Message}";
        }

        return FileResidency.TryDrop(paths);
    }

    /// <summary>Drops files that could be dropped before.</summary>
    /// <exception cref="InvalidOperationException">They cannot any more: what would be measured is not cold.</exception>
    public static void Drop(IReadOnlyList<string> paths)
    {
        if (TryDrop(paths) is { } reason)
        {
            throw new InvalidOperationException($"The files cannot be made cold: {reason}.");
        }
    }
}
