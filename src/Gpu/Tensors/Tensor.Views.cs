using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Views: other shapes and strides over the same memory. Each is a tensor of its own, to be disposed.</content>
public sealed partial class Tensor
{
    /// <summary>
    /// The tensor as one device has it: of a tensor on a <see cref="DeviceGroup"/> that member's own bytes, of any other
    /// tensor itself. A view like the others: it keeps that member's memory, and no other member's, when everything else
    /// of the group is disposed.
    /// </summary>
    /// <param name="device">A member of the group, or the tensor's own device.</param>
    /// <exception cref="ArgumentException">The tensor is not on that device.</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    public Tensor On(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (ReferenceEquals(Device, device))
        {
            return new Tensor(_view);
        }

        return Memory is GroupMemory memory && Device is DeviceGroup group && group.Members.IndexOf(device) is >= 0 and var member
            ? new Tensor(_view with { Memory = memory[member] })
            : throw new ArgumentException($"{this} is not on {device}: copy it there.", nameof(device));
    }

    /// <summary>A part of one dimension.</summary>
    /// <param name="dimension">The dimension, counted from the outermost; negative counts from the end.</param>
    /// <param name="start">The first index kept.</param>
    /// <param name="length">How many are kept; 0 is allowed.</param>
    /// <exception cref="ArgumentOutOfRangeException">There is no such dimension, or the part is not within it.</exception>
    /// <exception cref="ArgumentException">The part begins or ends inside a block (block types) or a byte (F4, F6).</exception>
    public Tensor Narrow(int dimension, long start, long length)
    {
        dimension = ResolveDimension(dimension);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Shape[dimension] - length);
        var lastOfBlocks = DType.IsBlock && dimension == Shape.Rank - 1;
        if (lastOfBlocks && (start % DType.BlockLength != 0 || length % DType.BlockLength != 0))
        {
            throw new ArgumentException(
                $"{this} narrows on whole blocks of {DType.BlockLength} in its last dimension, and {start} to {start + length} is not; "
                + $"decode the part instead ({nameof(Decode)}).",
                nameof(start));
        }

        // Strides count blocks for block types, elements otherwise.
        var units = checked((lastOfBlocks ? start / DType.BlockLength : start) * Strides[dimension]);
        return View(Shape.With(dimension, length), Strides, units);
    }

    /// <summary>One index of one dimension; the dimension is gone from the result.</summary>
    /// <inheritdoc cref="Narrow"/>
    /// <param name="dimension">The dimension, counted from the outermost; negative counts from the end.</param>
    /// <param name="index">The index that is kept.</param>
    public Tensor Select(int dimension, long index)
    {
        dimension = ResolveDimension(dimension);
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Shape[dimension]);
        if (DType.IsBlock && dimension == Shape.Rank - 1)
        {
            throw new ArgumentException($"{this} has no views inside blocks; decode it, then select.", nameof(dimension));
        }

        var dimensions = Shape.Dimensions.ToArray().ToList();
        dimensions.RemoveAt(dimension);
        return View(new Shape(dimensions.ToArray()), Strides.RemoveAt(dimension), checked(index * Strides[dimension]));
    }

    /// <summary>The same elements in another shape, without a copy. One dimension may be -1: it takes what is left.</summary>
    /// <exception cref="ArgumentException">
    /// The number of elements differs, or the elements do not lie so that this is possible (a transposed tensor).
    /// </exception>
    public Tensor View(params ReadOnlySpan<long> dimensions)
    {
        var shape = TensorLayout.ResolveShape(dimensions, ElementCount);
        if (DType.IsBlock && (shape.Rank == 0 || shape[^1] % DType.BlockLength != 0))
        {
            throw new ArgumentException($"The rows of {shape} do not consist of whole blocks of {DType.Name}.", nameof(dimensions));
        }

        var strides = TensorLayout.ViewStrides(_view, shape)
            ?? throw new ArgumentException(
                $"{this} with strides [{string.Join(", ", Strides)}] cannot be seen as {shape} without a copy.", nameof(dimensions));
        return View(shape, strides, 0);
    }

    /// <summary>Two dimensions exchanged.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such dimension.</exception>
    /// <exception cref="ArgumentException">The last dimension of a block type or of F4 and F6 would move.</exception>
    public Tensor Transpose(int first, int second)
    {
        first = ResolveDimension(first);
        second = ResolveDimension(second);
        if (first != second && DType.BlockLength != 1 && Math.Max(first, second) == Shape.Rank - 1)
        {
            throw new ArgumentException($"{this} keeps its last dimension last; decode it, then transpose.", nameof(second));
        }

        var dimensions = Shape.Dimensions.ToArray();
        (dimensions[first], dimensions[second]) = (dimensions[second], dimensions[first]);
        return View(new Shape(dimensions), Strides.SetItem(first, Strides[second]).SetItem(second, Strides[first]), 0);
    }

    private Tensor View(Shape shape, ImmutableArray<long> strides, long units)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (shape.ElementCount == 0)
        {
            // An empty view may begin behind the last element, or inside a byte.
            return new Tensor(Memory, DType, shape, strides, ByteOffset);
        }

        var offset = DType.IsSubByte ? TensorLayout.SubByteOffset(this, units) : checked(units * DType.BlockSize);
        return new Tensor(Memory, DType, shape, strides, checked(ByteOffset + offset));
    }

    private int ResolveDimension(int dimension)
    {
        var resolved = dimension < 0 ? dimension + Shape.Rank : dimension;
        return resolved >= 0 && resolved < Shape.Rank
            ? resolved
            : throw new ArgumentOutOfRangeException(nameof(dimension), dimension, $"{this} has {Shape.Rank} dimensions.");
    }
}
