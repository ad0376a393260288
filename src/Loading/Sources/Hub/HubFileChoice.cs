using System.Globalization;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Chooses files by patterns (<see cref="FilePattern"/>) as huggingface_hub does: a pattern that ends in a slash means all below it.
/// </summary>
internal static class HubFileChoice
{
    /// <summary>The paths that any pattern allows and none ignores, in their order.</summary>
    /// <param name="paths">The paths.</param>
    /// <param name="allow">The patterns of what is wanted; null for all.</param>
    /// <param name="ignore">The patterns of what is not.</param>
    public static IEnumerable<string> Filter(IEnumerable<string> paths, IReadOnlyCollection<string>? allow, IReadOnlyCollection<string>? ignore) =>
        paths.Where(path => (allow is null || allow.Any(pattern => FilePattern.Matches(Whole(pattern), Slashes(path)))) && ignore?.Any(pattern => FilePattern.Matches(Whole(pattern), Slashes(path))) != true);

    /// <summary>The paths that options want, in their order.</summary>
    /// <param name="paths">The paths of all files.</param>
    /// <param name="options">What is wanted.</param>
    /// <param name="missing">What it is told as that nothing is at a path.</param>
    /// <exception cref="RemoteException">Nothing is at the path of the options.</exception>
    public static IEnumerable<string> Filter(IReadOnlyList<string> paths, HubDownloadOptions options, Func<string, RemoteException> missing)
    {
        if (options.Path is not { } wanted)
        {
            return Filter(paths, options.AllowPatterns, options.IgnorePatterns);
        }

        string[] below = [.. paths.Where(path => path == wanted || path.StartsWith(wanted + "/", StringComparison.Ordinal))];
        return below.Length > 0 ? Filter(below, options.AllowPatterns, options.IgnorePatterns) : throw missing(wanted);
    }

    /// <summary>What is chosen; nothing where what is to be there is not.</summary>
    public static IReadOnlyList<T> OrNone<T>(Func<IEnumerable<T>> choose)
    {
        try
        {
            return [.. choose()];
        }
        catch (RemoteException exception) when (exception.Failure == RemoteFailure.EntryMissing)
        {
            return [];
        }
    }

    /// <summary>What it is told as that patterns leave no file.</summary>
    /// <param name="address">The repository.</param>
    /// <param name="revision">Its revision.</param>
    /// <param name="options">What was wanted.</param>
    /// <param name="paths">The paths of all files.</param>
    public static RemoteException NothingFits(string address, string revision, HubDownloadOptions options, IReadOnlyList<string> paths)
    {
        if (paths.Count == 0)
        {
            return new RemoteException(RemoteFailure.EntryMissing, address, $"it has no files at the revision {Quoted.Name(revision)}.");
        }

        var allowed = options.AllowPatterns is { } allow ? $" that fits {List(allow)}" : options.Path is null ? "" : $" at {Quoted.Name(options.Path)}";
        var ignored = options.IgnorePatterns is { Count: > 0 } ignore ? $" beside what {List(ignore)} leave{(ignore.Count == 1 ? "s" : "")} out" : "";
        return new RemoteException(
            RemoteFailure.EntryMissing, address, $"there is no file{allowed}{ignored} at the revision {Quoted.Name(revision)}; it has {List(paths)}. Nothing was downloaded.");
    }

    private static string List(IReadOnlyList<string> names)
    {
        const int shown = 6;
        return string.Join(", ", names.Take(shown).Select(Quoted.Name)) + (names.Count > shown ? string.Create(CultureInfo.InvariantCulture, $" and {names.Count - shown} more") : "");
    }

    private static string Whole(string pattern) => Slashes(pattern) is var slashed && slashed.EndsWith('/') ? slashed + "*" : slashed;

    private static string Slashes(string text) => text.Replace('\\', '/');
}
