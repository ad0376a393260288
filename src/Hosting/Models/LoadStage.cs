namespace IlgpuLoader.Hosting;

/// <summary>A part of a load and the time that it took. Times of lanes, which work side by side, are their mean, so that stages add up to about the whole.</summary>
/// <param name="Name">One of the names below.</param>
/// <param name="Elapsed">The time.</param>
public readonly record struct LoadStage(string Name, TimeSpan Elapsed)
{
    /// <summary>Files that are not in the cache yet are downloaded.</summary>
    public const string Download = "download";

    /// <summary>Files are opened and headers read.</summary>
    public const string Open = "open";

    /// <summary>What is read and where it goes is planned, and models are laid out.</summary>
    public const string Plan = "plan";

    /// <summary>All that lanes do: of a load whose lanes tell more, its parts (<see cref="Touch"/> to <see cref="Decode"/>) stand in its place.</summary>
    public const string Load = "load";

    /// <summary>Fresh pages of the host are made present.</summary>
    public const string Touch = "touch";

    /// <summary>Files are read.</summary>
    public const string Read = "read";

    /// <summary>What is read is hashed.</summary>
    public const string Hash = "hash";

    /// <summary>Bytes that stay as they are go to where their tensor is.</summary>
    public const string Upload = "upload";

    /// <summary>Blocks and dtypes that change are decoded and converted.</summary>
    public const string Decode = "decode";

    /// <summary>Quantisation methods process the weights.</summary>
    public const string Process = "process";

    /// <summary>Weights are loaded layer by layer and take the place of the old ones.</summary>
    public const string Reload = "reload";
}
