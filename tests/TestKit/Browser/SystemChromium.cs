namespace IlgpuLoader.TestKit;

/// <summary>The system's browser (Debian's <c>chromium</c>), in which pages are tested.</summary>
public static class SystemChromium
{
    /// <summary>Where it is.</summary>
    public const string Path = "/usr/bin/chromium";

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing => File.Exists(Path) ? null : $"Chromium is not on this machine (looked for {Path}).";
}
