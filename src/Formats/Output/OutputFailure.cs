using System.Text.RegularExpressions;

namespace IlgpuLoader.Formats;

/// <summary>
/// Says what an error of the system means for an output: its own path first, then what failed and what to do. The names
/// that it has while it is unfinished mean nothing to anybody.
/// </summary>
internal static partial class OutputFailure
{
    /// <summary>Does one step of an output.</summary>
    /// <param name="path">The full path of the output.</param>
    /// <param name="step">What is done.</param>
    /// <param name="length">The size it is to have in bytes, if that is known.</param>
    /// <exception cref="IOException">The system failed; the message begins with the path.</exception>
    /// <exception cref="UnauthorizedAccessException">The system does not allow it; the message begins with the path.</exception>
    public static T Explain<T>(string path, Func<T> step, long length = 0)
    {
        try
        {
            return step();
        }
        catch (Exception exception) when (IsToExplain(path, exception))
        {
            throw Of(path, exception, length);
        }
    }

    /// <inheritdoc cref="Explain{T}"/>
    public static void Explain(string path, Action step, long length = 0)
    {
        try
        {
            step();
        }
        catch (Exception exception) when (IsToExplain(path, exception))
        {
            throw Of(path, exception, length);
        }
    }

    /// <summary>Whether an exception comes from the system and does not say yet what it means for this path.</summary>
    public static bool IsToExplain(string path, Exception exception) =>
        exception is IOException or UnauthorizedAccessException && !exception.Message.StartsWith(path, StringComparison.Ordinal);

    /// <summary>What an error of the system means for an output.</summary>
    /// <param name="path">The full path of the output.</param>
    /// <param name="error">The error's number.</param>
    public static Exception Of(string path, int error) => Of(path, SystemError.ToException(error));

    /// <summary>What an exception of the system means for an output: one of the same type, with the original within.</summary>
    /// <param name="path">The full path of the output.</param>
    /// <param name="exception">What was thrown.</param>
    /// <param name="length">The size it was to have in bytes, if that is known.</param>
    public static Exception Of(string path, Exception exception, long length = 0)
    {
        var error = SystemError.Find(exception);
        var message = $"{path}: {Describe(path, error, length) ?? WithoutTemporaryNames(path, exception.Message)}";
        return exception switch
        {
            _ when error is SystemError.AccessDenied or SystemError.NotPermitted => new UnauthorizedAccessException(message, exception),
            UnauthorizedAccessException => new UnauthorizedAccessException(message, exception),
            DirectoryNotFoundException => new DirectoryNotFoundException(message, exception),
            FileNotFoundException => new FileNotFoundException(message, exception),
            PathTooLongException => new PathTooLongException(message, exception),
            _ when error == SystemError.NameTooLong => new PathTooLongException(message, exception),
            _ => new IOException(message, exception),
        };
    }

    /// <summary>That there is no room for an output.</summary>
    /// <param name="path">The full path of the output.</param>
    /// <param name="length">The bytes that are wanted; 0 where that is not known.</param>
    /// <param name="free">The bytes that are free, if that is known.</param>
    public static string DescribeNoRoom(string path, long length, long? free)
    {
        var wanted = length > 0 ? $"there is no room for the {length} bytes of this file" : "the disk is full";
        return $"{path}: {wanted}{(free is null ? "" : $": {free} bytes are free on the disk")}; make room, or choose another disk.";
    }

    private static string? Describe(string path, int error, long length)
    {
        var parent = Path.GetDirectoryName(path) ?? path;
        var folder = OutputPath.FindNearestFolder(parent);
        return error switch
        {
            SystemError.Missing when folder != parent => $"the folder {parent} does not exist; make it first.",
            SystemError.Missing => "nothing can be made here, or something else has removed what was to become this; choose another folder, or begin again.",
            SystemError.AccessDenied or SystemError.NotPermitted =>
                $"writing in {folder} is not permitted; choose another folder, or have its permissions changed.",
            SystemError.ReadOnly => $"the file system of {folder} is read-only; choose another folder.",
            SystemError.NoSpace => DescribeNoRoom(path, length, FreeSpace.Of(path))[(path.Length + 2)..],
            SystemError.FileTooLarge => $"{Amount(length, "are", "is")} more than one file can hold on this file system; choose another disk, or more shards.",
            SystemError.Busy => "the system uses this itself, as a mount point perhaps; choose another name.",
            SystemError.IsAFolder => "this is a folder; name a file.",
            SystemError.NotAFolder => $"{parent} is no folder, or not in one; choose another.",
            SystemError.AlreadyExists => DescribeTaken(),
            _ when error == SystemError.NotEmpty => DescribeTaken(),
            _ when error == SystemError.QuotaExceeded => $"{Amount(length, "exceed", "exceeds")} your quota on this disk; make room, or choose another disk.",
            _ when error == SystemError.NameTooLong => "this name is longer than the file system allows; choose a shorter one.",
            _ when error == SystemError.LinksInACircle => "this link leads to itself, in a circle; remove it, or choose another name.",
            _ => null,
        };
    }

    /// <summary>That something has the output's name which may not be replaced, without the path.</summary>
    public static string DescribeTaken() =>
        "this already exists and would be replaced; choose another name, or allow it (--force).";

    private static string Amount(long length, string verb, string verbOfOne) =>
        length > 0 ? $"the {length} bytes of this file {verb}" : $"this {verbOfOne}";

    private static string WithoutTemporaryNames(string path, string message) => UnfinishedName().Replace(message, Path.GetFileName(path));

    // What TemporaryName makes.
    [GeneratedRegex("\\.[^/\\\\]*\\.[0-9a-f]{32}\\.(?:tmp|old)", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: -1)]
    private static partial Regex UnfinishedName();
}
