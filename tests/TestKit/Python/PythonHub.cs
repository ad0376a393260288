namespace IlgpuLoader.TestKit;

/// <summary>The system's Python and its huggingface_hub, the oracle of caches.</summary>
public static class PythonHub
{
    // Looked for, not imported: Debian's packages, and those that pip installs for all users.
    private static readonly string[] Places = ["/usr/lib/python3/dist-packages", .. Directory.Exists("/usr/local/lib") ? Directory.GetDirectories("/usr/local/lib", "python3.*").Select(folder => folder + "/dist-packages") : []];

    /// <summary>Why there is none on this machine; null where there is.</summary>
    public static string? Missing =>
        SystemPython.Missing
        ?? (Places.Any(place => Directory.Exists(Path.Combine(place, "huggingface_hub"))) ? null : $"huggingface_hub is not on this machine (looked in {string.Join(", ", Places)}).");
}
