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

    /// <summary>Hashes every tensor's bytes as they are stored; memory stays within one buffer a core.</summary>
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
    /// <returns>One hash a tensor, in the order of the checkpoint; a tensor that cannot be decoded has an error instead.</returns>
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
        var decodable = tensors.Where(tensor => tensor.IsWholeStorage).ToHashSet();
        var loader = new CheckpointLoader();
        var options = new LoadOptions { Device = device, DType = DType.F32, ConvertAllTypes = true };
        var plan = LoadPlanner.Plan(checkpoint, options, decodable.Contains);
        var hashes = new Dictionary<string, string>();
        await foreach (var (name, tensor) in loader.StreamAsync(plan, null, cancellationToken).ConfigureAwait(false))
        {
            using (tensor)
            {
                hashes.Add(name, HashValues(tensor));
            }
        }

        return [.. tensors.Select(tensor => new TensorHash(
            tensor,
            hashes.GetValueOrDefault(tensor.Name),
            ValueDecoder.RefusalOf(tensor)))];
    }

    /// <summary>The manifest that hashes of stored bytes make.</summary>
    /// <param name="hashes">What <see cref="HashStoredAsync(Checkpoint, TensorChoice?, CancellationToken)"/> gave.</param>
    /// <exception cref="ArgumentException">A tensor has no hash; the message says which and why.</exception>
    public static TensorManifest ToManifest(IEnumerable<TensorHash> hashes)
    {
        ArgumentNullException.ThrowIfNull(hashes);
        return new TensorManifest(hashes.Select(hash => hash.Sha256 is { } sha256
            ? KeyValuePair.Create(hash.Tensor.Name, new ManifestEntry(hash.Tensor.DType, hash.Tensor.Shape, sha256))
            : throw new ArgumentException($"Tensor {Quoted.Name(hash.Tensor.Name)} has no hash: {hash.Error}", nameof(hashes))));
    }

    private static ImmutableArray<TensorInfo> Choose(Checkpoint checkpoint, TensorChoice? choice) =>
        choice is null ? checkpoint.Tensors : [.. checkpoint.Tensors.Where(tensor => choice.Includes(tensor.Name))];

    private static async Task<TensorHash> HashStoredAsync(TensorInfo tensor, CancellationToken cancellationToken)
    {
        if (!tensor.IsWholeStorage)
        {
            return new TensorHash(tensor, null, "A strided view cannot be hashed by this version.");
        }

        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(BufferBytes, Math.Max(1, tensor.ByteLength)));
        try
        {
            for (long done = 0; done < tensor.ByteLength;)
            {
                var part = buffer.AsMemory(0, (int)Math.Min(buffer.Length, tensor.ByteLength - done));
                await tensor.File.Source.ReadExactlyAsync(tensor.Offset + done, part, cancellationToken).ConfigureAwait(false);
                hash.AppendData(part.Span);
                done += part.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return new TensorHash(tensor, Convert.ToHexStringLower(hash.GetHashAndReset()), null);
    }

    private static string HashValues(Tensor tensor)
    {
        using var onHost = tensor.Device.IsHost ? null : tensor.To(HostDevice.Shared);
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
