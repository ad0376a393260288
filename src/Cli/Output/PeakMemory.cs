using System.Diagnostics;
using System.Globalization;

namespace IlgpuLoader.Cli.Output;

/// <summary>The most memory this process has had resident.</summary>
internal static class PeakMemory
{
    /// <summary>The peak in bytes.</summary>
    public static long Read()
    {
        const string field = "VmHWM:";
        // .NET reports the current size as the peak on Linux; the kernel knows better.
        if (File.Exists("/proc/self/status")
            && File.ReadLines("/proc/self/status").FirstOrDefault(line => line.StartsWith(field, StringComparison.Ordinal)) is { } line
            && long.TryParse(line.AsSpan(field.Length).Trim().TrimEnd("kB"), NumberStyles.AllowTrailingWhite, CultureInfo.InvariantCulture, out var kibibytes))
        {
            return kibibytes * 1024;
        }

        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64;
    }
}
