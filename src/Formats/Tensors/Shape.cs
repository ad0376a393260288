using System.Collections;
using System.Collections.Immutable;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Formats;

/// <summary>
/// The dimensions of a tensor, row-major, outermost first. No dimensions means a scalar of one element; any zero
/// dimension means no elements. Immutable; <c>default</c> is the scalar shape.
/// </summary>
public readonly struct Shape : IReadOnlyList<long>, IEquatable<Shape>
{
    private readonly ImmutableArray<long> _dimensions;

    /// <summary>Makes a shape of these dimensions.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A dimension is negative.</exception>
    /// <exception cref="OverflowException">
    /// The number of elements, multiplied from the left, does not fit a <see cref="long"/>. The order matters as in the
    /// reference: <c>[0, 2^62, 4]</c> is fine, <c>[2^62, 4, 0]</c> is not.
    /// </exception>
    public Shape(params ReadOnlySpan<long> dimensions)
    {
        long count = 1;
        foreach (var dimension in dimensions)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dimension);
            count = checked(count * dimension);
        }

        _dimensions = [.. dimensions];
        CountLessOne = count - 1;
    }

    /// <summary>The shape of one element without dimensions.</summary>
    public static Shape Scalar => default;

    /// <summary>The dimensions as a span, outermost first.</summary>
    public ReadOnlySpan<long> Dimensions => _dimensions.IsDefault ? [] : _dimensions.AsSpan();

    /// <summary>The number of dimensions.</summary>
    public int Rank => _dimensions.IsDefault ? 0 : _dimensions.Length;

    /// <summary>The product of all dimensions; 1 for a scalar.</summary>
    public long ElementCount => CountLessOne + 1;

    /// <inheritdoc/>
    public int Count => Rank;

    // The count is kept so that asking costs nothing, and less one so that default(Shape) is the scalar shape.
    private long CountLessOne { get; }

    /// <summary>The size of dimension <paramref name="index"/>, counted from the outermost.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such dimension.</exception>
    public long this[int index]
    {
        get
        {
            ArgumentOutOfRangeException.ThrowIfNegative(index);
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Rank);
            return _dimensions[index];
        }
    }

    /// <summary>The shape with dimension <paramref name="index"/> replaced.</summary>
    /// <param name="index">The dimension, counted from the outermost.</param>
    /// <param name="size">Its new size in elements.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such dimension, or the size is negative.</exception>
    /// <exception cref="OverflowException">The number of elements does not fit a <see cref="long"/>.</exception>
    public Shape With(int index, long size)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)index, (uint)Rank, nameof(index));
        return new Shape(_dimensions.SetItem(index, size).AsSpan());
    }

    /// <summary>The strides, in elements, of a contiguous row-major tensor of this shape; one stride a dimension.</summary>
    /// <remarks>A dimension of zero counts as one, so that the outer strides stay meaningful.</remarks>
    public ImmutableArray<long> RowMajorStrides()
    {
        var strides = new long[Rank];
        long stride = 1;
        for (var i = Rank - 1; i >= 0; i--)
        {
            strides[i] = stride;
            // Cannot overflow where there are elements; saturates harmlessly where there are none.
            stride = Math.Max(stride, unchecked(stride * Math.Max(_dimensions[i], 1)));
        }

        return ImmutableCollectionsMarshal.AsImmutableArray(strides);
    }

    /// <inheritdoc/>
    public bool Equals(Shape other) => Dimensions.SequenceEqual(other.Dimensions);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is Shape other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode()
    {
        var hash = default(HashCode);
        foreach (var dimension in Dimensions)
        {
            hash.Add(dimension);
        }

        return hash.ToHashCode();
    }

    /// <summary>The dimensions in brackets, such as <c>[4096, 11008]</c>.</summary>
    public override string ToString() => Rank == 0 ? "[]" : $"[{string.Join(", ", _dimensions)}]";

    /// <inheritdoc/>
    public IEnumerator<long> GetEnumerator() => (_dimensions.IsDefault ? [] : _dimensions).AsEnumerable().GetEnumerator();

    /// <inheritdoc/>
    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    /// <summary>Whether two shapes have the same dimensions.</summary>
    public static bool operator ==(Shape left, Shape right) => left.Equals(right);

    /// <summary>Whether two shapes differ.</summary>
    public static bool operator !=(Shape left, Shape right) => !left.Equals(right);
}
