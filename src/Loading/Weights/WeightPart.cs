using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A view of a lazy weight, without ownership: what of it is asked for. Immutable.</summary>
/// <param name="Shape">The dimensions.</param>
/// <param name="Strides">One stride a dimension, in elements of the weight's meta tensor.</param>
/// <param name="FirstElement">The first element, counted from the start of the storage.</param>
/// <param name="PendingHeads">The heads whose rows have to be moved yet; negative for the way back, 0 for none.</param>
internal sealed record WeightPart(Shape Shape, ImmutableArray<long> Strides, long FirstElement, long PendingHeads)
{
    /// <summary>What a lazy weight is.</summary>
    public static WeightPart Of(Weight weight) => new(
        weight.Shape,
        weight.Tensor.Strides,
        weight.Tensor.ByteOffset / weight.Tensor.DType.BlockSize,
        weight.PendingHeads);

    /// <inheritdoc/>
    public bool Equals(WeightPart? other) =>
        other is not null
        && Shape == other.Shape
        && FirstElement == other.FirstElement
        && PendingHeads == other.PendingHeads
        && Strides.AsSpan().SequenceEqual(other.Strides.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Shape, FirstElement, PendingHeads);
}
