using System.Collections.ObjectModel;

namespace IlgpuLoader.Formats.Torch;

/// <summary>What a PyTorch file says beyond tensors and metadata. Immutable.</summary>
/// <param name="Container">What the file is made of.</param>
/// <param name="Version">The version of the archive, 1 to 10; null where it names none, and of other containers.</param>
/// <param name="IsBigEndian">Whether numbers in the storages have their highest byte first; they are turned round as they are read.</param>
/// <param name="Root">The folder that all records of the archive lie in; empty where there is none, null of other containers.</param>
/// <param name="Protocol">The protocol that the pickle of the tensors names; 0 where it names none, as protocols 0 and 1.</param>
/// <param name="StorageCount">How many storages the file has, whether or not a tensor views them.</param>
public sealed record TorchHeader(
    TorchContainer Container, int? Version, bool IsBigEndian, string? Root, int Protocol, int StorageCount)
{
    /// <summary>The devices that storages were on which were not in host memory, by where the storage begins in the file.</summary>
    internal IReadOnlyDictionary<long, string> Locations { get; init; } = ReadOnlyDictionary<long, string>.Empty;

    /// <summary>
    /// The device that a tensor of the file was on when it was saved, as PyTorch calls it: <c>cpu</c>, <c>cuda:0</c>, <c>xpu:1</c>.
    /// Arrays of NumPy were in host memory.
    /// </summary>
    /// <param name="tensor">A tensor of the file.</param>
    public string LocationOf(TensorInfo tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return Locations.TryGetValue(tensor.Offset, out var location) ? location : TorchConstants.HostLocation;
    }
}
