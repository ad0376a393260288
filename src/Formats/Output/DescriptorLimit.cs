using System.Runtime.InteropServices;

namespace IlgpuLoader.Formats;

/// <summary>How many files this process may have open.</summary>
internal static partial class DescriptorLimit
{
    // RLIMIT_NOFILE on Linux, for every processor .NET runs on.
    private const int OpenFiles = 7;

    // The most shards that large published checkpoints have is a few hundred; a descriptor takes about a kilobyte.
    private const int Most = 512;

    /// <summary>
    /// How many files an output may hold open besides what is open now: half of what the process may have, less what it has,
    /// so that an opened checkpoint, the runtime and the program around it find their descriptors. At most 512, and 0
    /// where it cannot be known.
    /// </summary>
    public static int CountSpare()
    {
        if (!OperatingSystem.IsLinux() || GetLimit(OpenFiles, out var limit) != 0)
        {
            return 0;
        }

        try
        {
            var open = Directory.EnumerateFileSystemEntries("/proc/self/fd").Count();
            // "Unlimited" is the largest number there is.
            return (int)Math.Clamp((long)Math.Min(limit.Soft / 2, int.MaxValue) - open, 0, Most);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Without /proc there are no files without names either.
            return 0;
        }
    }

    [LibraryImport("libc", EntryPoint = "getrlimit")]
    private static partial int GetLimit(int resource, out ResourceLimit limit);

    [StructLayout(LayoutKind.Sequential)]
    private struct ResourceLimit
    {
        public nuint Soft;
        public nuint Hard;
    }
}
