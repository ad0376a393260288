using System.Security.Cryptography;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Hashes the tensors of a block when it is complete, for a manifest, which has the hash of each as a copy of its own would have it:
/// from the memory itself where that is the host's, or a copy of it is, and holds what is stored, else from the file once more, since neither decoded values nor
/// another device's memory are the stored bytes.
/// </summary>
internal static class BlockHasher
{
    /// <summary>Holds each tensor of a block against its entry.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="block">The block.</param>
    /// <param name="loaded">Its memory, filled.</param>
    /// <param name="check">Receives the hashes.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="IOException">The bytes cannot be read; says which tensor, file and offset.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced; says which tensor, file and offset.</exception>
    public static async ValueTask CheckAsync(
        LoadPlan plan, PlannedBlock block, Tensor loaded, ManifestCheck check, CancellationToken cancellationToken)
    {
        var sha256 = new byte[SHA256.HashSizeInBytes];
        using var onHost = HostOf(loaded.Device) is { } host ? loaded.On(host) : null;
        var memory = block.Memory.DType == block.Memory.Source.DType ? onHost?.Memory as HostMemory : null;
        foreach (var index in block.Tensors)
        {
            var tensor = plan.Tensors[index];
            if (tensor.TiedTo is null)
            {
                using var view = tensor.ViewOf(loaded);
                var read = memory is null ? tensor.Source : StoredHash.InMemory(tensor.Name, view, memory);
                await StoredHash.ComputeAsync(read, sha256, cancellationToken).ConfigureAwait(false);
                check.Check(index, sha256);
            }
        }
    }

    private static Device? HostOf(Device device) =>
        device is DeviceGroup group ? group.Members.FirstOrDefault(member => member.IsHost) : device.IsHost ? device : null;
}
