using System.ComponentModel;

namespace IlgpuLoader.Loading;

/// <summary>What of files is in the operating system's page cache, and how it is taken out. Needs no privilege.</summary>
internal static class FileResidency
{
    // One byte a page of 4 KiB: 256 KiB of answers at a time.
    private const long Window = 1L << 30;

    // Pages that are just being read ahead, or that another process maps, stay: 1 % cannot make a cold read a warm one.
    private const double ColdFraction = 0.01;

    /// <summary>Drops files from the cache.</summary>
    /// <returns>Null where they are cold now; else why not.</returns>
    public static string? TryDrop(IReadOnlyList<string> paths)
    {
        if (!OperatingSystem.IsLinux())
        {
            return "only Linux says what is in its page cache";
        }

        foreach (var path in paths)
        {
            using var file = File.OpenHandle(path);
            try
            {
                // Pages that are not written yet cannot be dropped.
                RandomAccess.FlushToDisk(file);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // A file system that is read-only has nothing to write; what stays is seen below.
            }

            _ = MeasuringCalls.DropCached(file);
        }

        return ResidentFraction(paths) is { } resident
            ? resident <= ColdFraction ? null : FormattableString.Invariant($"{resident:P0} of the files stay in the page cache")
            : "the file system does not say what of the files is in the page cache";
    }

    /// <summary>The part of the files' bytes that is in the cache, from 0 to 1; null where nobody says.</summary>
    public static double? ResidentFraction(IReadOnlyList<string> paths)
    {
        if (!OperatingSystem.IsLinux())
        {
            return null;
        }

        var (resident, total) = (0L, 0L);
        var page = Environment.SystemPageSize;
        try
        {
            foreach (var path in paths)
            {
                using var file = File.OpenHandle(path);
                var length = RandomAccess.GetLength(file);
                for (long offset = 0; offset < length; offset += Window)
                {
                    var bytes = Math.Min(Window, length - offset);
                    var pages = new byte[(bytes + page - 1) / page];
                    resident += MeasuringCalls.CountCached(file, offset, bytes, pages);
                    total += pages.Length;
                }
            }
        }
        catch (Win32Exception)
        {
            return null;
        }

        return total == 0 ? 1 : (double)resident / total;
    }
}
