using System.Buffers;
using System.Text.Json;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Numpy;

namespace IlgpuLoader.Loading;

/// <summary>Writes the NumPy cache of a checkpoint: a file a tensor, the list of names, and a record of what it was made from.</summary>
/// <param name="source">The checkpoint.</param>
/// <param name="root">The part of it that was asked for.</param>
internal sealed class NumpyCacheWriter(Checkpoint source, string? root)
{
    // Of every type a whole number of elements, and of a view the longest that is read at a time.
    private const int PieceBytes = TensorPieces.ViewPieceBytes;

    /// <summary>Writes the cache; it appears whole, in the place of one that is there, or not at all.</summary>
    /// <param name="cache">Its folder.</param>
    /// <param name="namesFile">The base name of the list of names.</param>
    /// <param name="progress">Receives how far it is.</param>
    /// <param name="cancellationToken">Ends the work between two pieces.</param>
    public async Task WriteAsync(string cache, string namesFile, IProgress<LoadProgress>? progress, CancellationToken cancellationToken)
    {
        ThrowIfImpossible();
        // Before a byte is read: a source that changes while it is read is another one afterwards.
        var sources = CachedSource.Of(source);
        var stored = source.Tensors.Where(tensor => tensor.TiedTo is null).ToArray();
        var tally = new ProgressTally(progress, stored.Sum(tensor => tensor.DataByteLength), stored.Length);
        using var folder = AtomicFolder.Create(cache, overwrite: true);
        var file = new CachedName(namesFile, CacheRecord.FileName);
        var files = new Dictionary<string, string>();
        foreach (var tensor in stored)
        {
            files.Add(tensor.Name, file.Next(tensor.Name));
            await WriteAsync(folder, files[tensor.Name], tensor, tally, cancellationToken).ConfigureAwait(false);
        }

        await TensorPieces.EnsureUnchangedAsync(stored, cancellationToken).ConfigureAwait(false);
        var tensors = source.Tensors.Select(
            tensor => new CachedTensor(tensor.Name, files[tensor.TiedTo ?? tensor.Name], tensor.DType.Name, tensor.TiedTo)).ToArray();
        // vLLM knows of no ties: each has its own file there. Our record leads all of them to the first's.
        foreach (var tie in source.Tensors.Where(tensor => tensor.TiedTo is not null))
        {
            files.Add(tie.Name, file.Next(tie.Name));
            if (files[tie.Name] == tie.Name)
            {
                folder.AddLink(tie.Name, files[tie.TiedTo!]);
            }
        }

        // vLLM opens each name as a file: it is told of those that are one.
        string[] names = [.. files.Where(pair => pair.Key == pair.Value).Select(pair => pair.Key)];
        await folder.WriteAllBytesAsync(
            namesFile, JsonSerializer.SerializeToUtf8Bytes(names, CacheJsonContext.Default.StringArray), cancellationToken).ConfigureAwait(false);
        var record = new CacheRecord(CacheRecord.CurrentVersion, root, sources, tensors, Guid.NewGuid());
        await folder.WriteAllBytesAsync(
            CacheRecord.FileName, JsonSerializer.SerializeToUtf8Bytes(record, CacheJsonContext.Default.CacheRecord), cancellationToken).ConfigureAwait(false);
        cancellationToken.ThrowIfCancellationRequested();
        folder.Commit();
    }

    private static async Task WriteAsync(
        AtomicFolder folder, string file, TensorInfo tensor, ProgressTally tally, CancellationToken cancellationToken)
    {
        var writer = await NpyWriter
            .CreateAsync(folder, file, new NumpyTensor(tensor.Name, tensor.DType, tensor.Shape), cancellationToken).ConfigureAwait(false);
        await using (writer.ConfigureAwait(false))
        {
            var size = tensor.DType.BlockSize;
            var buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(PieceBytes, Math.Max(1, tensor.DataByteLength)));
            try
            {
                for (long offset = 0; offset < tensor.DataByteLength;)
                {
                    var piece = buffer.AsMemory(0, (int)Math.Min(PieceBytes, tensor.DataByteLength - offset));
                    await TensorPieces.ReadAsync(tensor, offset / size, piece, cancellationToken).ConfigureAwait(false);
                    await writer.WriteAsync(tensor.Name, offset, piece, cancellationToken).ConfigureAwait(false);
                    offset += piece.Length;
                    tally.Add(piece.Length, tensorDone: offset == tensor.DataByteLength);
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }

            if (tensor.DataByteLength == 0)
            {
                tally.Add(0, tensorDone: true);
            }

            await writer.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void ThrowIfImpossible()
    {
        if (source.Tensors.IsEmpty)
        {
            throw new UnsupportedCheckpointException(
                "NumPy cache", source.Path, "the checkpoint has no tensors, and nothing to cache; load it without the cache.", source.Format);
        }

        foreach (var tensor in source.Tensors)
        {
            if (NpyWriter.Objection(new NumpyTensor(tensor.Name, tensor.DType, tensor.Shape)) is { } objection)
            {
                throw new UnsupportedCheckpointException(
                    "NumPy cache",
                    source.Path,
                    $"no NumPy array can hold it ({objection}), and with it no NumPy cache; load the checkpoint without the cache.",
                    source.Format,
                    tensor.Name);
            }
        }
    }
}
