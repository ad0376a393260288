using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>What a hosted model has in memory. Safe for any thread.</summary>
internal abstract class ResidentModel
{
    private readonly Lock _lock = new();
    private Task? _freeing;

    /// <summary>The model's tensors, in its order.</summary>
    public required ImmutableArray<HostedTensor> Tensors { get; init; }

    /// <summary>The bytes that were allocated for them, on each of several devices.</summary>
    public required long MemoryBytes { get; init; }

    /// <summary>The device that they are on.</summary>
    public required Device Device { get; init; }

    /// <summary>The format of the files that they come from.</summary>
    public required string Format { get; init; }

    /// <summary>The version of the hosted model that it has.</summary>
    public abstract long Version { get; }

    /// <summary>Leases all of it, or a layer.</summary>
    /// <param name="layer">The name of a layer; null for all.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>Null where it is about to be freed.</returns>
    public abstract ValueTask<IModelLease?> LeaseAsync(string? layer, CancellationToken cancellationToken);

    /// <summary>Leases all of it where that is possible at once.</summary>
    /// <returns>Null where it is not.</returns>
    public abstract IModelLease? TryLease();

    /// <summary>Lets nobody lease it any more, at once, and frees it when the last lease is over. Each call gives the same end.</summary>
    /// <returns>Ends when it is freed; with what a reader's fence or the freeing has thrown, and freed all the same.</returns>
    public Task FreeAsync()
    {
        lock (_lock)
        {
            return _freeing ??= CloseAndFreeAsync();
        }
    }

    /// <summary>Does what <see cref="FreeAsync"/> says, once.</summary>
    protected abstract Task CloseAndFreeAsync();
}
