using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Threading.Channels;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Writes the parts of a state: each tensor comes from its device piece by piece, and is hashed on the way, alone and with its file. Both hashes and the writes each go at their own pace, a few pieces apart. Disposing it frees the
/// buffers. Not safe for several threads.
/// </summary>
/// <param name="tally">What is counted.</param>
/// <param name="staging">Where the buffers are.</param>
internal sealed class StatePartWriter(ProgressTally tally, HostDevice staging) : IDisposable
{
    // What one copy from a device brings: as large as a slot of a load's staging. Chosen, not measured.
    private const int PieceBytes = 16 << 20;

    // How many pieces are hashed while the next is written. With one, the two slower of hash, hash and write would wait for each other on two cores; more than three has nothing left to even out.
    private const int Pieces = 3;

    private readonly HostMemory?[] _staging = new HostMemory?[Pieces];
    private readonly Device?[] _stagedFor = new Device?[Pieces];

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
            var hashes = await WriteAsync([.. writer.Tensors.Select(stored => byName[stored.Name])], writer, fileHash, cancellationToken).ConfigureAwait(false);
            await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
            return (
                new ManifestFile(name, writer.Length, Convert.ToHexStringLower(fileHash.GetHashAndReset()), header),
                [.. writer.Tensors.Select((stored, i) => KeyValuePair.Create(stored.Name, new ManifestEntry(stored.DType, stored.Shape, hashes[i])))]);
        }
    }

    /// <summary>Frees the buffers.</summary>
    public void Dispose()
    {
        for (var i = 0; i < Pieces; i++)
        {
            _staging[i]?.Dispose();
            _staging[i] = null;
        }
    }

    private async Task<List<string>> WriteAsync(ImmutableArray<StateTensor> tensors, SafetensorsWriter writer, IncrementalHash fileHash, CancellationToken cancellationToken)
    {
        // A slot is free when both hashes and the writer have let go of its piece.
        var free = Channel.CreateUnbounded<int>();
        for (var slot = 0; slot < Pieces; slot++)
        {
            _ = free.Writer.TryWrite(slot);
        }

        var (forFile, forTensors) = (Channel.CreateUnbounded<StatePiece>(), Channel.CreateUnbounded<StatePiece>());
        var hashes = new List<string>(tensors.Length);
        var hashingFile = Task.Run(() => HashAsync(() => HashFileAsync(forFile.Reader, fileHash)), CancellationToken.None);
        var hashingTensors = Task.Run(() => HashAsync(() => HashTensorsAsync(forTensors.Reader, hashes)), CancellationToken.None);
        try
        {
            // Copies hold their thread, as writes and hashes do.
            await Task.Run(
                async () =>
                {
                    foreach (var tensor in tensors)
                    {
                        await WriteAsync(tensor).ConfigureAwait(false);
                    }
                },
                cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            forFile.Writer.Complete();
            forTensors.Writer.Complete();
            // What they hash stays until they are done with it.
            await Task.WhenAll(hashingFile, hashingTensors).ConfigureAwait(false);
        }

        return hashes;

        // A hash that fails, as where the model is disposed meanwhile, frees no slot any more: the writer must not wait for one.
        async Task HashAsync(Func<Task> hash)
        {
            try
            {
                await hash().ConfigureAwait(false);
            }
            catch (Exception exception)
            {
                _ = free.Writer.TryComplete(exception);
                throw;
            }
        }

        async Task WriteAsync(StateTensor tensor)
        {
            long done = 0;
            foreach (var box in TensorBoxes.Of(tensor.Tensor, PieceBytes))
            {
                using var view = box;
                cancellationToken.ThrowIfCancellationRequested();
                var slot = await free.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                var (memory, offset) = OnHost(view, slot);
                var piece = new StatePiece(memory, offset, (int)view.ByteLength, IsLast: done + view.ByteLength == tensor.ByteLength, () => _ = free.Writer.TryWrite(slot));
                _ = forFile.Writer.TryWrite(piece);
                _ = forTensors.Writer.TryWrite(piece);
                writer.Write(tensor.Name, done, piece.Bytes);
                piece.LetGo();
                done += piece.Length;
                tally.Add(piece.Length, piece.IsLast);
            }
        }
    }

    private static async Task HashFileAsync(ChannelReader<StatePiece> pieces, IncrementalHash hash)
    {
        await foreach (var piece in pieces.ReadAllAsync().ConfigureAwait(false))
        {
            hash.AppendData(piece.Bytes);
            piece.LetGo();
        }
    }

    private static async Task HashTensorsAsync(ChannelReader<StatePiece> pieces, List<string> hashes)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        await foreach (var piece in pieces.ReadAllAsync().ConfigureAwait(false))
        {
            hash.AppendData(piece.Bytes);
            if (piece.IsLast)
            {
                hashes.Add(Convert.ToHexStringLower(hash.GetHashAndReset()));
            }

            piece.LetGo();
        }
    }

    // The bytes of a piece side by side in host memory: where they are already, or in the slot's buffer.
    private (HostMemory Memory, long Offset) OnHost(Tensor piece, int slot)
    {
        if (piece is { IsContiguous: true, Memory: HostMemory own })
        {
            return (own, piece.ByteOffset);
        }

        if (_staging[slot] is null || !ReferenceEquals(_stagedFor[slot], piece.Device))
        {
            _staging[slot]?.Dispose();
            _staging[slot] = null;
            (_staging[slot], _stagedFor[slot]) = (staging.AllocatePageLocked(PieceBytes, piece.Device), piece.Device);
        }

        using var staged = new Tensor(_staging[slot]!, piece.DType, piece.Shape);
        staged.CopyFrom(piece);
        return (_staging[slot]!, 0);
    }
}
