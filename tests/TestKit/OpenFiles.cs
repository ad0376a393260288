namespace IlgpuLoader.TestKit;

/// <summary>The files that this process has open; Linux only.</summary>
public static class OpenFiles
{
    /// <summary>
    /// The paths below a folder, once for every descriptor. Other tests run in the same process and open and close files
    /// meanwhile: a descriptor that is gone by the time it is looked at is left out.
    /// </summary>
    public static IReadOnlyList<string> Below(string folder) =>
        [.. Directory.GetFileSystemEntries("/proc/self/fd")
            .Select(Target)
            .Where(target => target.StartsWith(folder, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal)];

    private static string Target(string descriptor)
    {
        try
        {
            return new FileInfo(descriptor).LinkTarget ?? "";
        }
        catch (IOException)
        {
            return "";
        }
    }
}
