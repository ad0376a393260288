namespace IlgpuLoader.Loading;

/// <summary>What is downloaded of a repository, and where to. Immutable.</summary>
public sealed record HubDownloadOptions
{
    /// <summary>The defaults.</summary>
    public static HubDownloadOptions Default { get; } = new();

    /// <summary>A branch, tag or commit; null for the main branch.</summary>
    public string? Revision { get; init; }

    /// <summary>A file of the repository, or a folder with all that is below it, without slashes at its ends; null for all. No characters of it are a pattern's. Patterns choose from what it has. That it is not there is an error.</summary>
    public string? Path { get; init; }

    /// <summary>Patterns of the files that are wanted; null for all. <c>*</c> stands for any characters, slashes among them.</summary>
    public IReadOnlyList<string>? AllowPatterns { get; init; }

    /// <summary>Patterns of the files that are not wanted; null for the operation's own: none, and for weights <see cref="HubDownloads.DefaultIgnorePatterns"/>.</summary>
    public IReadOnlyList<string>? IgnorePatterns { get; init; }

    /// <summary>Another cache than that of the settings; null for theirs.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>A folder that gets the files themselves, as the repository has them, in place of the cache; null for the cache.</summary>
    public string? LocalFolder { get; init; }

    /// <summary>
    /// Whether what the cache or the local folder has stands in where the Hub cannot be asked, whether or not that is all that is wanted: huggingface_hub's own way, of which a warning in the log tells. Else that is an error.
    /// Offline (<see cref="RemoteOptions.Offline"/>) nobody is asked, and it stands in anyway.
    /// </summary>
    public bool FallsBackToCache { get; init; } = true;

    /// <summary>Whether everything is fetched, also what is there. Nothing stands in for it then.</summary>
    public bool Force { get; init; }
}
