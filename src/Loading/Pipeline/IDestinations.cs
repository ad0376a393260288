using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Where the tensors of a plan come into being, and who is told when one is complete.</summary>
internal interface IDestinations
{
    /// <summary>Takes the next run in file order, once there is room for the tensors it begins.</summary>
    /// <returns>The run's index in the plan, or -1 when there are no more.</returns>
    ValueTask<int> TakeRunAsync(CancellationToken cancellationToken);

    /// <summary>The tensor of this index in the plan; it exists from the time its first run was taken.</summary>
    Tensor this[int tensor] { get; }

    /// <summary>Called when a run is placed, after <see cref="Complete"/> for each tensor that it completed.</summary>
    void RunDone();

    /// <summary>Called when all bytes of a tensor are in place: once a tensor that is read, for it and those tied to it.</summary>
    void Complete(int tensor);
}
