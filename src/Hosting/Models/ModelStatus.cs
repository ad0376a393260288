using System.Collections.Immutable;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>What a hosted model is at one moment. Immutable.</summary>
public sealed record ModelStatus
{
    /// <summary>The model's name.</summary>
    public required string Name { get; init; }

    /// <summary>What it is doing.</summary>
    public required ModelState State { get; init; }

    /// <summary>When it began to do that.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Whether the host is ready only when it is loaded.</summary>
    public bool IsRequired { get; init; }

    /// <summary>
    /// Whether it is in memory: also during a reload, but for one that frees the old tensors first. Leases of a whole layout wait until a reload that writes has ended, and need all layers to be of one version
    /// (<see cref="CompletedLoad.OldLayers"/> is 0); those of a layer do not.
    /// </summary>
    public bool IsAvailable { get; init; }

    /// <summary>The path that is configured, or the address without a user and a query: everybody may see it.</summary>
    public string? Path { get; init; }

    /// <summary>What it is made of.</summary>
    public HostedLayout Layout { get; init; }

    /// <summary>The device, as it is configured until it is opened, and its id then.</summary>
    public required string Device { get; init; }

    /// <summary>The format of the checkpoint's files, such as <c>safetensors</c>; null until it was opened.</summary>
    public string? Format { get; init; }

    /// <summary>How far the download is that the load or reload which runs waits for; null while there is none.</summary>
    public ModelDownload? Download { get; init; }

    /// <summary>How far the load or reload is that runs; null while none does, and until its plan is made.</summary>
    public LoadProgress? Progress { get; init; }

    /// <summary>Bytes a second that the load or reload which runs has read lately; 0 while none does.</summary>
    public double BytesPerSecond { get; init; }

    /// <summary>How many tensors it has, or will have as the plan says; 0 until that is known.</summary>
    public int TensorCount { get; init; }

    /// <summary>The bytes of its tensors on the device, on each of several: what was allocated for those that are there; 0 while none are.</summary>
    public long MemoryBytes { get; init; }

    /// <summary>What its tensors have of each dtype, the most bytes first; empty until that is known.</summary>
    public ImmutableArray<DTypeTotal> DTypes { get; init; } = [];

    /// <summary>Counts loads and reloads that changed it, from 1; 0 while it was never loaded. It grows as long as the host lives, also across unloads.</summary>
    public long Version { get; init; }

    /// <summary>When it got that version.</summary>
    public DateTimeOffset? LoadedAt { get; init; }

    /// <summary>The last load or reload that came to its end; null before the first.</summary>
    public CompletedLoad? LastLoad { get; init; }

    /// <summary>Why the last load, or reload, ended early; null where it did not. A model that is loaded has its old tensors after a reload that failed.</summary>
    public ModelFailure? Failure { get; init; }
}
