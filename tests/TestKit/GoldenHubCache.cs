using System.Formats.Tar;
using System.IO.Compression;

namespace IlgpuLoader.TestKit;

/// <summary>A cache of the Hub, and a local folder, that huggingface_hub wrote; its links are in it, which a zip archive would lose.</summary>
public static class GoldenHubCache
{
    /// <summary>Unpacks it.</summary>
    /// <param name="folder">A folder that is there.</param>
    /// <returns>The cache, and the local folder.</returns>
    public static (string Cache, string Local) ExtractTo(string folder)
    {
        using var stream = typeof(GoldenHubCache).Assembly.GetManifestResourceStream("hf-cache.tar.gz")!;
        using var unzipped = new GZipStream(stream, CompressionMode.Decompress);
        TarFile.ExtractToDirectory(unzipped, folder, overwriteFiles: false);
        var root = Path.Combine(folder, "hf-cache-golden");
        return (Path.Combine(root, "home", "hub"), Path.Combine(root, "local_dir"));
    }
}
