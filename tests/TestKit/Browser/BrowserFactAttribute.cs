using Xunit;

namespace IlgpuLoader.TestKit;

/// <summary>
/// A test in a browser, driven by a script of Node's; skipped where the system has no Chromium or no Node, or where nobody has fetched the script's packages (<c>npm ci</c> in its folder).
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class BrowserFactAttribute : FactAttribute
{
    /// <param name="folder">The script's folder, which has its <c>package.json</c>, below the repository's root.</param>
    public BrowserFactAttribute(string folder)
    {
        Folder = folder;
        Skip = SystemChromium.Missing ?? SystemNode.Missing ?? MissingPackages(folder);
    }

    /// <summary>The script's folder, below the repository's root.</summary>
    public string Folder { get; }

    private static string? MissingPackages(string folder)
    {
        var packages = Path.Combine(RepositoryPaths.Root, folder, "node_modules", "playwright-core");
        return Directory.Exists(packages) ? null : $"playwright-core is not there (looked for {packages}; run npm ci in {folder}).";
    }
}
