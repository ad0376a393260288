using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The pieces of a shard, handed to the lanes in the order of the files they are read from. Safe for any thread.</summary>
internal sealed class PieceQueue : IDisposable
{
    private readonly Lock _lock = new();
    private readonly IEnumerator<Piece> _pieces;

    public PieceQueue(OutputShard shard, IReadOnlyList<CheckpointFile> files, ConversionLayout layout)
    {
        var positions = new Dictionary<CheckpointFile, int>();
        foreach (var file in files)
        {
            positions.Add(file, positions.Count);
        }

        var inFileOrder = shard.Tensors.OrderBy(tensor => positions[tensor.Source.File]).ThenBy(tensor => tensor.Source.DataOffset);
        _pieces = inFileOrder.SelectMany(tensor => Cut(tensor, tensor.Source.IsContiguous ? layout.PieceBytes : layout.SlotBytes)).GetEnumerator();
    }

    /// <summary>Takes the next piece; false when there are no more.</summary>
    public bool TryTake(out Piece piece)
    {
        lock (_lock)
        {
            var more = _pieces.MoveNext();
            piece = more ? _pieces.Current : default;
            return more;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _pieces.Dispose();

    private static IEnumerable<Piece> Cut(OutputTensor tensor, int pieceBytes)
    {
        var block = tensor.Source.DType.BlockSize;
        var step = pieceBytes / block * block;
        long done = 0;
        do
        {
            var length = (int)Math.Min(step, tensor.Source.DataByteLength - done);
            yield return new Piece(tensor, done, length);
            done += length;
        }
        while (done < tensor.Source.DataByteLength);
    }
}
