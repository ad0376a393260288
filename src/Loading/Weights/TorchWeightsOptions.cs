using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What <see cref="TorchWeights"/> and <see cref="ParallelTorchWeights"/> give and where to. Immutable.</summary>
public sealed record TorchWeightsOptions : WeightsOptions
{
    /// <summary>The defaults: everything, into host memory, whatever device it was saved from.</summary>
    public static TorchWeightsOptions Default { get; } = new();

    /// <summary>
    /// The device for each stored location, as PyTorch calls it: <c>cpu</c>, <c>cuda:0</c>. As for <c>torch.load</c> a location that is not
    /// in the map stays what it is: <c>cpu</c> is host memory, and any other, which may be no device of this machine, is an error. Null, the default,
    /// brings all to the one device of <see cref="WeightsOptions.Load"/>.
    /// </summary>
    public IReadOnlyDictionary<string, Device>? MapLocation { get; init; }

    /// <inheritdoc cref="ParallelWeightsOptions.MaximumWorkers"/>
    /// <remarks>Only <see cref="ParallelTorchWeights"/> has workers.</remarks>
    public int MaximumWorkers { get; init; } = ParallelWeightsOptions.DefaultMaximumWorkers;
}
