using System.Collections.Immutable;
using System.Security.Cryptography;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// SHA-256 of tensors: of their row-major little-endian bytes as stored, or of their float32 values after decoding on a
/// device. The hash depends on content only, not on where a tensor lies in a file. Safe for any thread.
/// </summary>
public static class TensorHasher
{
    /// <summary>Hashes every tensor's bytes as they are stored; memory stays within one buffer a core. A view's hash is that of a copy whose elements lie side by side.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="choice">The tensors to hash; null for all.</param>
    /// <param name="cancellationToken">Ends the work within one buffer.</param>
    /// <returns>One hash a chosen tensor, in the order of the checkpoint.</returns>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="CheckpointException">A file changed while it was read.</exception>
    public static async Task<ImmutableArray<TensorHash>> HashStoredAsync(
        Checkpoint checkpoint, TensorChoice? choice = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        var tensors = Choose(checkpoint, choice);
        var hashes = new TensorHash[tensors.Length];
        await Parallel.ForAsync(
            0,
            hashes.Length,
            cancellationToken,
            async (i, token) => hashes[i] = await HashStoredAsync(tensors[i], token).ConfigureAwait(false)).ConfigureAwait(false);
        await TensorPieces.EnsureUnchangedAsync(tensors, cancellationToken).ConfigureAwait(false);

        return ImmutableArray.Create(hashes);
    }

    /// <summary>Hashes every tensor's values as float32, decoded on a device.</summary>
    /// <returns>One hash a tensor, in the order of the checkpoint.</returns>
    /// <inheritdoc cref="HashStoredAsync(Checkpoint, TensorChoice?, CancellationToken)"/>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="device">The device that decodes.</param>
    /// <param name="choice">The tensors to hash; null for all.</param>
    /// <param name="cancellationToken">Ends the work within the time of one slot.</param>
    public static async Task<ImmutableArray<TensorHash>> HashValuesAsync(
        Checkpoint checkpoint, Device device, TensorChoice? choice = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        ArgumentNullException.ThrowIfNull(device);
        var tensors = Choose(checkpoint, choice);
        var chosen = tensors.ToHashSet();
        var loader = new CheckpointLoader();
        var options = new LoadOptions { Device = device, DType = DType.F32, ConvertAllTypes = true };
        var plan = LoadPlanner.Plan(checkpoint, options, chosen.Contains);
        var hashes = new Dictionary<string, string>();
        await foreach (var (name, tensor) in loader.StreamAsync(plan, null, cancellationToken).ConfigureAwait(false))
        {
            using (tensor)
            {
                hashes.Add(name, await HashValuesAsync(name, tensor, cancellationToken).ConfigureAwait(false));
            }
        }

        return [.. tensors.Select(tensor => new TensorHash(tensor, hashes[tensor.Name]))];
    }

    /// <summary>The manifest that hashes of stored bytes make.</summary>
    /// <param name="hashes">What <see cref="HashStoredAsync(Checkpoint, TensorChoice?, CancellationToken)"/> gave.</param>
    public static TensorManifest ToManifest(IEnumerable<TensorHash> hashes)
    {
        ArgumentNullException.ThrowIfNull(hashes);
        return new TensorManifest(hashes.Select(hash =>
            KeyValuePair.Create(hash.Tensor.Name, new ManifestEntry(hash.Tensor.DType, hash.Tensor.Shape, hash.Sha256))));
    }

    private static ImmutableArray<TensorInfo> Choose(Checkpoint checkpoint, TensorChoice? choice) =>
        choice is null ? checkpoint.Tensors : [.. checkpoint.Tensors.Where(tensor => choice.Includes(tensor.Name))];

    private static async Task<TensorHash> HashStoredAsync(TensorInfo tensor, CancellationToken cancellationToken)
    {
        var sha256 = new byte[SHA256.HashSizeInBytes];
        await StoredHash.ComputeAsync(tensor, sha256, cancellationToken).ConfigureAwait(false);
        return new TensorHash(tensor, Convert.ToHexStringLower(sha256));
    }

    private static async ValueTask<string> HashValuesAsync(string name, Tensor tensor, CancellationToken cancellationToken)
    {
        using var onHost = tensor.Device.IsHost ? null : tensor.To(HostDevice.Shared);
        var source = onHost ?? tensor;
        var sha256 = new byte[SHA256.HashSizeInBytes];
        await StoredHash.ComputeAsync(StoredHash.InMemory(name, source, (HostMemory)source.Memory), sha256, cancellationToken).ConfigureAwait(false);
        return Convert.ToHexStringLower(sha256);
    }
}
