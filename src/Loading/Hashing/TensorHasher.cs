using System.Buffers;
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
    // Hashing is slower than reading; a buffer only has to be large enough for the read's own cost to vanish.
    private const int BufferBytes = 1 << 20;

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
                hashes.Add(name, HashValues(tensor));
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
        await HashStoredAsync(tensor, sha256, cancellationToken).ConfigureAwait(false);
        return new TensorHash(tensor, Convert.ToHexStringLower(sha256));
    }

    /// <summary>Hashes the row-major bytes of one tensor, whatever its strides are.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="sha256">Receives the 32 bytes of the hash.</param>
    /// <param name="cancellationToken">Ends the work within one buffer.</param>
    /// <exception cref="IOException">The bytes cannot be read; says which tensor, file and offset.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced; says which tensor, file and offset.</exception>
    internal static async ValueTask HashStoredAsync(TensorInfo tensor, Memory<byte> sha256, CancellationToken cancellationToken)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var elements = TensorPieces.ElementsPerPiece(tensor);
        var buffer = ArrayPool<byte>.Shared.Rent((int)tensor.DType.ByteCount(Math.Min(elements, tensor.ElementCount)));
        try
        {
            for (long done = 0; done < tensor.ElementCount; done += elements)
            {
                var part = buffer.AsMemory(0, (int)tensor.DType.ByteCount(Math.Min(elements, tensor.ElementCount - done)));
                await TensorPieces.ReadAsync(tensor, done, part, cancellationToken).ConfigureAwait(false);
                hash.AppendData(part.Span);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        hash.GetHashAndReset(sha256.Span);
    }

    private static string HashValues(Tensor tensor)
    {
        using var onHost = tensor.Device.IsHost && tensor.IsContiguous ? null : tensor.To(HostDevice.Shared);
        var source = onHost ?? tensor;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (long done = 0; done < source.ByteLength;)
        {
            var part = source.GetSpan<byte>(done, (int)Math.Min(BufferBytes, source.ByteLength - done));
            hash.AppendData(part);
            done += part.Length;
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
