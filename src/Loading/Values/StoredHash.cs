using System.Buffers;
using System.Security.Cryptography;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>SHA-256 of the row-major bytes of a tensor, whatever its strides are. Holds no state; safe for any thread.</summary>
internal static class StoredHash
{
    /// <summary>Hashes a tensor piece by piece.</summary>
    /// <param name="tensor">The tensor.</param>
    /// <param name="sha256">Receives the 32 bytes of the hash.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <exception cref="IOException">The bytes cannot be read; says which tensor, file and offset.</exception>
    /// <exception cref="InvalidCheckpointException">The file was cut or replaced; says which tensor, file and offset.</exception>
    public static async ValueTask ComputeAsync(TensorInfo tensor, Memory<byte> sha256, CancellationToken cancellationToken)
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

    /// <summary>What is in host memory as a tensor of a file, which is read in the same way.</summary>
    /// <param name="name">The tensor's name, for messages.</param>
    /// <param name="tensor">The tensor, whose owner keeps it while it is read.</param>
    /// <param name="memory">Its memory.</param>
    public static TensorInfo InMemory(string name, Tensor tensor, HostMemory memory)
    {
        var file = new CheckpointFile(name, name, "memory", new HostMemorySource(memory));
        return new TensorInfo(name, tensor.DType, tensor.Shape, file, tensor.ByteOffset, memory.Length - tensor.ByteOffset) { Strides = tensor.Strides };
    }
}
