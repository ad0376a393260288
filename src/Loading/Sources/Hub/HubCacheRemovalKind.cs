namespace IlgpuLoader.Loading;

/// <summary>Why something in a cache of the Hub can go.</summary>
public enum HubCacheRemovalKind
{
    /// <summary>A revision that no branch or tag means.</summary>
    Revision,

    /// <summary>A blob that no revision that stays has.</summary>
    Blob,

    /// <summary>What a download has left that did not end.</summary>
    Unfinished,
}
