using System.Collections.Immutable;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// Makes pieces to read of recorded copies: straight to their place where that lies as the bytes do, through memory of their own where it does not, and what is read
/// already is copied from there. Not safe for several threads.
/// </summary>
/// <param name="passingBytes">The most bytes that a piece with memory of its own has, where it can be cut so small.</param>
internal sealed class PieceList(long passingBytes)
{
    private readonly record struct StoredRange(CheckpointFile File, long Offset, DType DType, Shape Stored, TensorSlice? Slice, DType Target);

    private readonly List<(PlannedTensor Piece, PassingPiece? Passing)> _pieces = [];
    private readonly Dictionary<StoredRange, ParameterPlace> _read = [];
    private readonly List<RepeatedCopy> _repeats = [];

    /// <summary>What is copied from where it was read for another place.</summary>
    public ImmutableArray<RepeatedCopy> Repeats => [.. _repeats];

    /// <summary>Adds a copy.</summary>
    /// <exception cref="UnsupportedCheckpointException">The elements are stored together with others, and cannot be parted from them so.</exception>
    public void Add(RecordedCopy copy)
    {
        var (source, place) = copy;
        if (source.IsEmpty)
        {
            return;
        }

        if (place.DType.BlockLength != 1 && !source.KeepsLastDimension)
        {
            throw source.Refuse("rows of elements that share bytes are moved apart, and they are kept as they are stored; decode them: give the parameter a dtype of single elements");
        }

        if (!place.IsContiguousIn(source.Order))
        {
            AddPassing(source, place);
            return;
        }

        foreach (var (piece, first) in source.Pieces(place.DType))
        {
            AddPlaced(piece, place.Parameter, checked(place.ByteOffset + place.DType.ByteCount(first)));
        }
    }

    /// <summary>All pieces, in the order of the files and of their bytes there, and those of them that only pass, by their index.</summary>
    /// <param name="files">The checkpoint's files.</param>
    public (ImmutableArray<PlannedTensor> Pieces, Dictionary<int, PassingPiece> Passing) InFileOrder(ImmutableArray<CheckpointFile> files)
    {
        var order = files.Select((file, i) => (file, i)).ToDictionary(entry => entry.file, entry => entry.i);
        var sorted = _pieces.OrderBy(piece => order[piece.Piece.Source.File]).ThenBy(piece => FirstByte(piece.Piece)).ToArray();
        var passing = new Dictionary<int, PassingPiece>();
        for (var i = 0; i < sorted.Length; i++)
        {
            if (sorted[i].Passing is { } piece)
            {
                passing.Add(i, piece);
            }
        }

        return (ImmutableCollectionsMarshal.AsImmutableArray(Array.ConvertAll(sorted, piece => piece.Piece)), passing);
    }

    private static long FirstByte(PlannedTensor piece) =>
        piece.HasSegments ? piece.Source.DataOffset + piece.Segments.FirstByte : piece.Part.DataOffset;

    private void AddPlaced(PlannedTensor piece, int parameter, long byteOffset)
    {
        var place = new ParameterPlace(parameter, piece.DType, piece.Shape, default, byteOffset);
        var content = new StoredRange(piece.Source.File, piece.Source.DataOffset, piece.Source.DType, piece.Source.Shape, piece.Slice, piece.DType);
        // Elements that lie apart are gathered anew: their strides would have to be the same too.
        if (piece.Source.IsContiguous && !_read.TryAdd(content, place))
        {
            _repeats.Add(new RepeatedCopy(_read[content], place));
            return;
        }

        _pieces.Add((piece with { Slab = new SlabPlace(parameter, byteOffset) }, null));
    }

    private void AddPassing(StoredView source, ParameterPlace place)
    {
        var bytes = place.DType.ByteCount(source.LoadedElements);
        var isOne = source.Pieces(place.DType).Take(2).ToArray() is [_];
        // Elements of F4 and F6 share bytes that a cut could part.
        if (isOne && (bytes <= passingBytes || source.Order.Length <= 1 || place.DType.IsSubByte))
        {
            var block = place.DType.IsBlock ? place.DType.BlockLength : 1;
            ImmutableArray<long> strides = [.. source.LoadedStrides.Select(stride => stride > 1 ? stride / block : stride)];
            _pieces.Add((source.Pieces(place.DType).Single().Piece, new PassingPiece(place, strides)));
            return;
        }

        // From the outside in: what is stored together stays together as long as it can.
        var dimension = source.Order[0];
        var size = source.SizeOf(dimension);
        var step = isOne ? Math.Clamp(passingBytes / Math.Max(1, bytes / size), 1, size - 1) : 1;
        for (long start = 0; start < size; start += step)
        {
            var length = Math.Min(step, size - start);
            AddPassing(source.Narrow(dimension, start, length), place.Narrow(dimension, start, length));
        }
    }
}
