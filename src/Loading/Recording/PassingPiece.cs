using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A piece that is read into memory of its own, and copied from there to a place whose elements do not lie side by side, or in another order.</summary>
/// <param name="Place">The place.</param>
/// <param name="Strides">The strides that see the piece as the place does: in elements, or in blocks for block types.</param>
internal sealed record PassingPiece(ParameterPlace Place, ImmutableArray<long> Strides)
{
    /// <summary>Copies the piece to its place.</summary>
    /// <param name="piece">What was read.</param>
    /// <param name="storage">The parameter's storage.</param>
    public void Copy(Tensor piece, Tensor storage)
    {
        using var source = new Tensor(piece.Memory, piece.DType, Place.Shape, Strides, piece.ByteOffset);
        using var place = Place.On(storage);
        place.CopyFrom(source);
    }
}
