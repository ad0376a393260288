using System.Globalization;

namespace IlgpuLoader.Gpu;

/// <summary>How much memory the host has and what of it this process may take.</summary>
/// <param name="Total">All memory in bytes, or the container's limit where that is less.</param>
/// <param name="Free">What can be taken now without pushing others out, in bytes.</param>
internal readonly record struct HostMemoryInfo(long Total, long Free)
{
    /// <summary>Reads the current numbers: the least of the system's, the cgroup's and the garbage collector's.</summary>
    public static HostMemoryInfo Read() => Read("/proc", "/sys/fs/cgroup");

    /// <summary>Reads the numbers from other folders, so that tests can play a container.</summary>
    internal static HostMemoryInfo Read(string proc, string cgroup)
    {
        var collector = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        var total = collector;
        var free = collector;
        if (ReadMeminfo(Path.Combine(proc, "meminfo")) is var (systemTotal, systemFree))
        {
            total = Math.Min(total, systemTotal);
            free = Math.Min(free, systemFree);
        }

        if (ReadCgroup(proc, cgroup) is var (limit, headroom))
        {
            total = Math.Min(total, limit);
            free = Math.Min(free, headroom);
        }

        return new HostMemoryInfo(total, Math.Max(0, free));
    }

    // MemAvailable counts the page cache that the kernel would drop, MemFree does not.
    private static (long Total, long Free)? ReadMeminfo(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        long? total = null;
        long? available = null;
        foreach (var line in File.ReadLines(path))
        {
            total ??= Kibibytes(line, "MemTotal:");
            available ??= Kibibytes(line, "MemAvailable:");
        }

        return total is { } t && available is { } a ? (t, a) : null;
    }

    private static long? Kibibytes(string line, string field) =>
        line.StartsWith(field, StringComparison.Ordinal)
        && long.TryParse(line.AsSpan(field.Length).TrimEnd("kB"), NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite, null, out var value)
            ? value * 1024
            : null;

    // The own group and each group above it: the least limit and the least headroom count, which need not be of one group.
    // Version 2 has memory.max and memory.current, version 1 memory.limit_in_bytes and memory.usage_in_bytes.
    private static (long Limit, long Headroom)? ReadCgroup(string proc, string root)
    {
        (long Limit, long Headroom)? tightest = null;
        foreach (var folder in CgroupFolders(proc, root))
        {
            var version2 = ReadNumber(Path.Combine(folder, "memory.max"));
            var limit = version2 ?? ReadNumber(Path.Combine(folder, "memory.limit_in_bytes"));
            var used = ReadNumber(Path.Combine(folder, version2 is null ? "memory.usage_in_bytes" : "memory.current"));
            if (limit is not { } l || used is not { } u)
            {
                continue;
            }

            // The group's own page cache is counted as used but is dropped before the limit bites.
            var headroom = l - u + ReadStatistic(Path.Combine(folder, "memory.stat"), "inactive_file");
            tightest = tightest is var (least, leastHeadroom) ? (Math.Min(least, l), Math.Min(leastHeadroom, headroom)) : (l, headroom);
        }

        return tightest;
    }

    private static IEnumerable<string> CgroupFolders(string proc, string root)
    {
        var membership = Path.Combine(proc, "self", "cgroup");
        if (!File.Exists(membership))
        {
            yield break;
        }

        foreach (var line in File.ReadLines(membership))
        {
            // "0::/user.slice/..." in version 2, "9:memory:/docker/..." in version 1.
            var parts = line.Split(':', 3);
            if (parts.Length < 3 || (parts[1].Length > 0 && !parts[1].Split(',').Contains("memory")))
            {
                continue;
            }

            var top = parts[1].Length == 0 ? root : Path.Combine(root, "memory");
            for (var group = parts[2].Trim('/'); ; group = Path.GetDirectoryName(group) ?? "")
            {
                yield return Path.Combine(top, group);
                if (group.Length == 0)
                {
                    break;
                }
            }
        }
    }

    // "max" and a missing file both mean that there is no limit; so does version 1's number near 2^63.
    private static long? ReadNumber(string path)
    {
        const long noLimit = long.MaxValue / 2;
        return File.Exists(path)
            && long.TryParse(File.ReadAllText(path).AsSpan().Trim(), NumberStyles.None, null, out var value)
            && value < noLimit
                ? value
                : null;
    }

    private static long ReadStatistic(string path, string name)
    {
        if (!File.Exists(path))
        {
            return 0;
        }

        var line = File.ReadLines(path).FirstOrDefault(text => text.StartsWith(name + " ", StringComparison.Ordinal));
        return line is not null && long.TryParse(line.AsSpan(name.Length + 1), out var value) ? value : 0;
    }
}
