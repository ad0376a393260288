using System.ComponentModel;

namespace IlgpuLoader.Formats;

/// <summary>
/// The numbers by which a system names its errors, errno(3), as Linux and macOS have them; on Windows none of them is
/// ever met. Most are the same on both.
/// </summary>
internal static class SystemError
{
    public const int NotPermitted = 1;
    public const int Missing = 2;
    public const int Interrupted = 4;
    public const int AccessDenied = 13;
    public const int Busy = 16;
    public const int AlreadyExists = 17;
    public const int OtherFileSystem = 18;
    public const int NotAFolder = 20;
    public const int IsAFolder = 21;
    public const int InvalidArgument = 22;
    public const int FileTooLarge = 27;
    public const int NoSpace = 28;
    public const int ReadOnly = 30;
    public const int TooManyLinksToFile = 31;

    public static readonly int NameTooLong = OperatingSystem.IsMacOS() ? 63 : 36;
    public static readonly int NotImplemented = OperatingSystem.IsMacOS() ? 78 : 38;
    public static readonly int NotEmpty = OperatingSystem.IsMacOS() ? 66 : 39;
    public static readonly int LinksInACircle = OperatingSystem.IsMacOS() ? 62 : 40;
    public static readonly int NotSupported = OperatingSystem.IsMacOS() ? 45 : 95;
    public static readonly int QuotaExceeded = OperatingSystem.IsMacOS() ? 69 : 122;

    /// <summary>
    /// Whether a call failed because it does not exist here: for this system, this file system, or in this container. Another
    /// way may then do; after any other error it would end in the same one.
    /// </summary>
    public static bool MeansUnsupported(int error) =>
        // ENOENT is /proc that has gone; EPERM a filter of system calls, or files that have one name only; EMLINK those too.
        error is NotPermitted or Missing or OtherFileSystem or InvalidArgument or TooManyLinksToFile
        || error == NotImplemented || error == NotSupported;

    /// <summary>The error as an exception that says nothing of where: <see cref="OutputFailure"/> adds that.</summary>
    public static IOException ToException(int error)
    {
        var cause = new Win32Exception(error);
        return new IOException(cause.Message, cause);
    }

    /// <summary>The error behind an exception of .NET or of <see cref="ToException"/>; 0 where there is none.</summary>
    public static int Find(Exception exception)
    {
        // What .NET makes of an errno it has no own exception for has it as its HResult.
        const int largest = 4095;
        for (var current = exception; current is not null; current = current.InnerException)
        {
            var error = current is Win32Exception native ? native.NativeErrorCode : current is IOException ? current.HResult : 0;
            if (error is > 0 and <= largest)
            {
                return error;
            }
        }

        return exception switch
        {
            PathTooLongException => NameTooLong,
            FileNotFoundException or DirectoryNotFoundException => Missing,
            UnauthorizedAccessException => AccessDenied,
            ArgumentOutOfRangeException => FileTooLarge,
            _ => 0,
        };
    }
}
