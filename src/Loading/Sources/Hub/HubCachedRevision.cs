namespace IlgpuLoader.Loading;

/// <summary>A revision in a cache of the Hub.</summary>
/// <param name="Commit">Its commit.</param>
/// <param name="Refs">The branches and tags that mean it.</param>
/// <param name="Files">Its files that are here, by path.</param>
/// <param name="LastModified">When it last got a file.</param>
public sealed record HubCachedRevision(string Commit, IReadOnlyList<string> Refs, IReadOnlyList<HubCachedFile> Files, DateTimeOffset LastModified)
{
    /// <summary>The bytes of its files; those that it shares with other revisions count as well.</summary>
    public long Bytes => Files.DistinctBy(file => file.Blob ?? file.Path).Sum(file => file.Bytes);
}
