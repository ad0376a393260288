using System.Security.Cryptography;
using System.Text;

namespace IlgpuLoader.Loading;

/// <summary>vLLM's lock of a model (<c>get_lock</c>): one process at a time brings its weights.</summary>
internal static class ModelLock
{
    // What file systems allow for a name.
    private const int LongestName = 255;

    /// <summary>Where the lock is: the SHA-256 of the name with <c>-</c> for <c>/</c>, and that name.</summary>
    /// <param name="model">The model's name.</param>
    /// <param name="cacheFolder">The folder that the weights are downloaded to where one was given; null for the folder of temporary files.</param>
    public static string PathOf(string model, string? cacheFolder)
    {
        var name = model.Replace('/', '-');
        var file = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(name))) + name + ".lock";
        // Where vLLM would fail; the hash tells such names apart.
        return Path.Combine(cacheFolder is null ? Path.GetTempPath() : Path.GetFullPath(cacheFolder), file.Length <= LongestName ? file : file[..(LongestName - 5)] + ".lock");
    }
}
