using System.Collections.Immutable;
using System.Security.Cryptography;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes the parts of a state: each tensor comes from its device piece by piece through one buffer, and is hashed on the way, alone and with its file. Disposing it frees the buffer. Not safe for several
/// threads.
/// </summary>
internal sealed class StatePartWriter(ProgressTally tally) : IDisposable
{
    // What one copy from a device brings: as large as a slot of a load's staging. Chosen, not measured.
    private const int PieceBytes = 16 << 20;

    // Below this, the hashes are not started on other threads: SHA-256 of so much takes about as long as waking a few of them. Chosen, not measured.
    private const int SideBySideBytes = 256 << 10;

    private HostMemory? _staging;
    private Device? _stagedFor;

    /// <summary>Writes a part.</summary>
    /// <param name="folder">Where it goes.</param>
    /// <param name="name">Its base name.</param>
    /// <param name="part">Its tensors.</param>
    /// <param name="metadata">Its metadata.</param>
    /// <param name="cancellationToken">Ends the work within one piece.</param>
    /// <returns>The file and its tensors, with their hashes.</returns>
    public async Task<(ManifestFile File, ImmutableArray<KeyValuePair<string, ManifestEntry>> Tensors)> WriteAsync(
        IOutputFolder folder, string name, ImmutableArray<StateTensor> part, IReadOnlyDictionary<string, string> metadata, CancellationToken cancellationToken)
    {
        var writer = await SafetensorsWriter.CreateAsync(folder, name, part.Select(SavePlan.InFile), metadata, cancellationToken).ConfigureAwait(false);
        await using (writer.ConfigureAwait(false))
        {
            using var fileHash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            fileHash.AppendData(writer.Header.Span);
            var header = Convert.ToHexStringLower(SHA256.HashData(writer.Header.Span));
            var byName = part.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
            // Copies and hashes hold their thread.
            var entries = await Task.Run(
                () => writer.Tensors.Select(stored => KeyValuePair.Create(
                    stored.Name,
                    new ManifestEntry(stored.DType, stored.Shape, Write(byName[stored.Name], writer, fileHash, cancellationToken)))).ToImmutableArray(),
                cancellationToken).ConfigureAwait(false);
            await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
            return (new ManifestFile(name, writer.Length, Convert.ToHexStringLower(fileHash.GetHashAndReset()), header), entries);
        }
    }

    /// <summary>Frees the buffer.</summary>
    public void Dispose()
    {
        _staging?.Dispose();
        _staging = null;
    }

    private string Write(StateTensor tensor, SafetensorsWriter writer, IncrementalHash fileHash, CancellationToken cancellationToken)
    {
        using var tensorHash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long done = 0;
        foreach (var piece in TensorBoxes.Of(tensor.Tensor, PieceBytes))
        {
            using (piece)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var (memory, offset) = OnHost(piece);
                var length = (int)piece.ByteLength;
                Action[] uses =
                [
                    () => fileHash.AppendData(memory.AsReadOnlySpan(offset, length)),
                    () => tensorHash.AppendData(memory.AsReadOnlySpan(offset, length)),
                    () => writer.Write(tensor.Name, done, memory.AsReadOnlySpan(offset, length)),
                ];
                if (length < SideBySideBytes)
                {
                    Array.ForEach(uses, use => use());
                }
                else
                {
                    Run(uses);
                }

                done += length;
                tally.Add(length, done == tensor.ByteLength);
            }
        }

        return Convert.ToHexStringLower(tensorHash.GetHashAndReset());
    }

    // The bytes of a piece side by side in host memory: where they are already, or in the buffer.
    private (HostMemory Memory, long Offset) OnHost(Tensor piece)
    {
        if (piece is { IsContiguous: true, Memory: HostMemory own })
        {
            return (own, piece.ByteOffset);
        }

        if (_staging is null || !ReferenceEquals(_stagedFor, piece.Device))
        {
            _staging?.Dispose();
            _staging = null;
            (_staging, _stagedFor) = (HostDevice.Shared.AllocatePageLocked(PieceBytes, piece.Device), piece.Device);
        }

        using var staged = new Tensor(_staging, piece.DType, piece.Shape);
        staged.CopyFrom(piece);
        return (_staging, 0);
    }

    private static void Run(Action[] uses)
    {
        try
        {
            Parallel.Invoke(uses);
        }
        catch (AggregateException exception)
        {
            // One of them is what went wrong: a full disk, mostly.
            System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(exception.InnerExceptions[0]);
        }
    }
}
