namespace IlgpuLoader.Loading;

/// <summary>Why something remote is not to be had.</summary>
public enum RemoteFailure
{
    /// <summary>The server cannot be reached, answers nonsense, or goes on failing after all retries.</summary>
    Network,

    /// <summary>The server wants a token, or another one.</summary>
    Unauthorized,

    /// <summary>The repository is gated: its conditions must be accepted first.</summary>
    Gated,

    /// <summary>There is no such repository or bucket, or the token may not see it.</summary>
    RepositoryMissing,

    /// <summary>The repository has no such branch, tag or commit.</summary>
    RevisionMissing,

    /// <summary>The repository has no such file at that revision, or the server no such address.</summary>
    EntryMissing,

    /// <summary>The network may not be asked, and what is wanted is not in the cache.</summary>
    Offline,

    /// <summary>A redirect, a name or an answer leads where it must not.</summary>
    Unsafe,

    /// <summary>What arrived is not what its hash says.</summary>
    Corrupt,
}
