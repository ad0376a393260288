using System.Diagnostics;
using System.Globalization;

namespace IlgpuLoader.Loading;

/// <summary>The most memory this process has had resident. Safe for any thread; counts the whole process.</summary>
public static class PeakMemory
{
    private const string Status = "/proc/self/status";
    private const string ClearReferences = "/proc/self/clear_refs";

    /// <summary>The peak in bytes, since the process began or since <see cref="TryReset"/>.</summary>
    public static long Read()
    {
        // .NET reports the current size as the peak on Linux; the kernel knows better.
        if (ReadField("VmHWM:") is { } peak)
        {
            return peak;
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }

    /// <summary>Makes what is resident now the peak.</summary>
    /// <returns>Whether the operating system can do that; only Linux can.</returns>
    public static bool TryReset()
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        try
        {
            // proc(5): 5 resets the peak of the resident set, and nothing else.
            File.WriteAllText(ClearReferences, "5");
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static long? ReadField(string field) =>
        File.Exists(Status)
        && File.ReadLines(Status).FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal)) is { } line
        && long.TryParse(line.AsSpan(field.Length).Trim().TrimEnd("kB"), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out var kibibytes)
            ? kibibytes * 1024
            : null;
}
