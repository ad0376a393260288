using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A file that a cache was made from, by what shows that it was changed.</summary>
/// <param name="Name">Its base name.</param>
/// <param name="Length">Its size in bytes.</param>
/// <param name="Modified">When it was last written to, in UTC.</param>
internal sealed record CachedSource(string Name, long Length, DateTime Modified)
{
    /// <summary>The files of a checkpoint as they are now.</summary>
    public static CachedSource[] Of(Checkpoint checkpoint) =>
        [.. checkpoint.Files.Select(file => new CachedSource(file.Name, file.Length, File.GetLastWriteTimeUtc(file.Path)))];
}
