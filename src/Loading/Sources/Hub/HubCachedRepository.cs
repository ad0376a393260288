namespace IlgpuLoader.Loading;

/// <summary>A repository in a cache of the Hub.</summary>
/// <param name="Repository">The repository.</param>
/// <param name="Folder">Its folder in the cache.</param>
/// <param name="Bytes">What it takes on the disk: each blob once, and those that no revision has.</param>
/// <param name="Revisions">Its revisions, by commit.</param>
public sealed record HubCachedRepository(HubRepository Repository, string Folder, long Bytes, IReadOnlyList<HubCachedRevision> Revisions)
{
    /// <summary>When any of its files was read last, as far as the file system remembers; null where it has none.</summary>
    public DateTimeOffset? LastUsed => Revisions.SelectMany(revision => revision.Files).Max(file => (DateTimeOffset?)file.LastUsed);
}
