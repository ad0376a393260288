namespace IlgpuLoader.Loading;

/// <summary>Where a download goes, and what it must be.</summary>
/// <param name="Path">The path that the whole file gets.</param>
/// <param name="Stem">The path beside which the unfinished file lies, on the same file system.</param>
/// <param name="Name">What its content is named: an ETag, or a SHA-256. Where it is a hash, the content is held against it.</param>
/// <param name="Prefix">A file of another program that holds its beginning; null for none.</param>
internal sealed record DownloadTarget(string Path, string Stem, string Name, string? Prefix = null)
{
    /// <summary>Whether the name is a hash of the content.</summary>
    public bool IsChecked => ContentDigest.KindOf(Name) != ContentDigestKind.None;

    /// <summary>How many bytes an earlier run left.</summary>
    /// <param name="length">The size of the whole.</param>
    public long CountPresent(long length) => PartialFile.CountPresent(Stem, length, Prefix, IsChecked);
}
