using System.Security.Cryptography;

namespace IlgpuLoader.Loading;

/// <summary>
/// Hashes what one lane reads, in the order in which it reads it: all bytes of a tensor come to one lane, which sees them
/// while they are in its core's cache.
/// </summary>
internal sealed class RunHasher(LoadPlan plan, ManifestCheck check) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    // Bytes of the current tensor that have not come yet.
    private long _rest;

    /// <summary>Takes the bytes of a staged run, which may hold several whole tensors or a part of one.</summary>
    public void AppendRun(in ReadRun run, ReadOnlySpan<byte> bytes)
    {
        for (var i = run.FirstPlacement; i < run.FirstPlacement + run.PlacementCount; i++)
        {
            var placement = plan.Placements[i];
            Append(placement.Destination, bytes.Slice(placement.RunOffset, placement.ByteLength));
        }
    }

    /// <summary>Takes the next bytes of a tensor; those of a block are hashed when all of them are there (<see cref="BlockHasher"/>).</summary>
    public void Append(int tensor, ReadOnlySpan<byte> bytes)
    {
        if (plan.IsBlock(tensor))
        {
            return;
        }

        if (_rest == 0)
        {
            _rest = plan.Tensors[tensor].SourceByteLength;
        }

        _hash.AppendData(bytes);
        _rest -= bytes.Length;
        if (_rest == 0)
        {
            Span<byte> sha256 = stackalloc byte[SHA256.HashSizeInBytes];
            _hash.GetHashAndReset(sha256);
            check.Check(tensor, sha256);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _hash.Dispose();
}
