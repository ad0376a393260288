using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Where the tensors of a plan come into being, and who is told when one is complete.</summary>
internal interface IDestinations
{
    /// <summary>Takes the next runs in file order, once there is room for the tensors they begin: usually one, more where they must not be parted.</summary>
    /// <returns>The runs, or none when there are no more.</returns>
    ValueTask<RunRange> TakeRunsAsync(CancellationToken cancellationToken);

    /// <summary>The tensor or block of this index in the plan; it exists from the time its first run was taken.</summary>
    Tensor this[int destination] { get; }

    /// <summary>Called when a run is placed, after <see cref="Complete"/> for each tensor that it completed.</summary>
    void RunDone();

    /// <summary>
    /// Called when all bytes of a tensor or block are in place: once for each that is read, for it and those that share its memory.
    /// </summary>
    void Complete(int destination);

    /// <summary>Called instead of <see cref="Complete"/> for a tensor or block that nobody may get: its bytes are not what they must be.</summary>
    void Discard(int destination);
}
