using System.Buffers;
using System.Text;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Refuses names from addresses and servers that would lead out of a cache, on this system or on another that sees the same files: they become paths. Every name is held against this before anything is made of it.
/// </summary>
internal static class HubName
{
    // File systems allow names of 255 bytes, and paths of 4096 of which the cache's own take a part.
    private const int LongestPart = 255;
    private const int LongestPath = 2048;

    // A SHA-256 has 64 digits, what S3 makes of parts fewer than that; the endings of locks and unfinished files come behind it.
    private const int LongestTag = 128;

    private static readonly SearchValues<char> TagCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.");

    private static readonly SearchValues<char> Digits = SearchValues.Create("0123456789abcdef");

    private static readonly SearchValues<char> RefusedByWindows = SearchValues.Create(":*?\"<>|");

    // What such a file means to huggingface_hub, or to us.
    private static readonly string[] TakenEndings = [HubCache.IncompleteEnding, ".lock", PartialFile.DataEnding, PartialFile.JournalEnding];

    /// <summary>Checks the path of a file in a repository.</summary>
    /// <param name="path">The path, with slashes.</param>
    /// <param name="address">Where it came from, for the message.</param>
    /// <exception cref="RemoteException">It leads elsewhere (<see cref="RemoteFailure.Unsafe"/>).</exception>
    public static void CheckPath(string path, string address) => Throw("path", path, address, ProblemOfPath(path));

    /// <summary>Checks the path of a file that goes into a folder of the user's: it may be a work tree of git, and has what huggingface_hub knows of its files.</summary>
    /// <inheritdoc cref="CheckPath" path="/param"/>
    /// <inheritdoc cref="CheckPath" path="/exception"/>
    public static void CheckLocalPath(string path, string address) => Throw("path", path, address, ProblemOfPath(path) ?? ProblemOfLocalPath(path));

    /// <summary>Checks a revision.</summary>
    /// <inheritdoc cref="CheckPath" path="/exception"/>
    public static void CheckRevision(string revision, string address) =>
        // Git's own rule besides: no ending of its locks, which would be another file beside the branch's.
        Throw("revision", revision, address, ProblemOfPath(revision) ?? (revision.EndsWith(".lock", StringComparison.Ordinal) ? "it ends with '.lock'" : null));

    /// <summary>Checks an ETag without its quotes.</summary>
    /// <inheritdoc cref="CheckPath" path="/exception"/>
    public static void CheckTag(string tag, string address) =>
        Throw(
            "ETag",
            tag,
            address,
            tag.Length is 0 or > LongestTag ? $"it has {tag.Length} characters, and 1 to {LongestTag} are allowed"
            : tag.AsSpan().ContainsAnyExcept(TagCharacters) ? "it has other characters than letters and digits of ASCII, '-', '_' and '.'"
            : tag[0] == '.' || tag[^1] == '.' ? "it begins or ends with '.'"
            : TakenEndings.FirstOrDefault(ending => tag.EndsWith(ending, StringComparison.OrdinalIgnoreCase)) is { } taken ? $"it ends with '{taken}'"
            : null);

    /// <summary>Checks a commit.</summary>
    /// <inheritdoc cref="CheckPath" path="/exception"/>
    public static void CheckCommit(string commit, string address) => Throw("commit", commit, address, IsCommit(commit) ? null : "it is not 40 hexadecimal digits");

    /// <summary>Whether a revision is a commit itself.</summary>
    public static bool IsCommit(string revision) => revision.Length == 40 && !revision.AsSpan().ContainsAnyExcept(Digits);

    /// <summary>Why a path is refused; null where it is not.</summary>
    public static string? ProblemOfPath(string path)
    {
        if (path.Length is 0 or > LongestPath)
        {
            return $"it has {path.Length} characters, and 1 to {LongestPath} are allowed";
        }

        foreach (var range in path.AsSpan().Split('/'))
        {
            if (ProblemOfPart(path.AsSpan()[range]) is { } problem)
            {
                return problem;
            }
        }

        return null;
    }

    private static string? ProblemOfLocalPath(string path)
    {
        // As Windows and macOS see them: without dots and spaces at the end, in any capitals.
        string[] parts = [.. path.Split('/').Select(part => part.TrimEnd(' ', '.').ToUpperInvariant())];
        return parts.Contains(".GIT") ? "'.git' is git's own, whose hooks are run"
            : parts is [".CACHE", "HUGGINGFACE", ..] ? "'.cache/huggingface' says of which commit the files are"
            : null;
    }

    private static string? ProblemOfPart(ReadOnlySpan<char> part) =>
        part.IsEmpty ? "it begins or ends with '/', or has two in a row"
        : part is "." or ".." ? "it has a '.' or '..' of its own"
        // Windows drops dots and spaces at the end: 'x/.. /y' would lead out there.
        : part.TrimEnd(". ").IsEmpty ? "it has a part of dots and spaces"
        : part.Contains('\\') ? "it has a '\\'"
        : part.Length > 1 && part[1] == ':' ? "it has the drive of a Windows path"
        : OperatingSystem.IsWindows() && part.ContainsAny(RefusedByWindows) ? "Windows has no such names"
        : ContainsControl(part) ? "it has a control character"
        : Encoding.UTF8.GetByteCount(part) > LongestPart ? $"a part of it has more than {LongestPart} bytes"
        : null;

    private static bool ContainsControl(ReadOnlySpan<char> part)
    {
        foreach (var character in part)
        {
            if (char.IsControl(character))
            {
                return true;
            }
        }

        return false;
    }

    private static void Throw(string what, string value, string address, string? problem)
    {
        if (problem is not null)
        {
            throw new RemoteException(RemoteFailure.Unsafe, Quoted.Plain(address), $"the {what} {Quoted.Name(value)} is refused: {problem}.");
        }
    }
}
