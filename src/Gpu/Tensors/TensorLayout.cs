using System.Collections.Immutable;
using System.Runtime.InteropServices;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>The arithmetic of shapes, strides and offsets.</summary>
internal static class TensorLayout
{
    /// <summary>Checks that every element lies in the memory and makes the view.</summary>
    public static StridedView CreateView(DeviceMemory memory, DType dtype, Shape shape, ImmutableArray<long> strides, long byteOffset)
    {
        ArgumentNullException.ThrowIfNull(memory);
        ArgumentOutOfRangeException.ThrowIfNegative(byteOffset);
        CheckRows(dtype, shape);
        if (strides.IsDefault)
        {
            strides = RowMajorStrides(dtype, shape);
        }
        else
        {
            CheckStrides(shape, strides);
        }

        var view = new StridedView(memory, dtype, shape, strides, byteOffset);
        CheckWithin(view);
        return view;
    }

    /// <summary>Checks that there is one stride a dimension, none negative.</summary>
    /// <exception cref="ArgumentException">There is not.</exception>
    public static void CheckStrides(Shape shape, ImmutableArray<long> strides)
    {
        if (strides.Length != shape.Rank || strides.Any(stride => stride < 0))
        {
            throw new ArgumentException($"{shape} needs {shape.Rank} strides, none negative; given are [{string.Join(", ", strides)}].", nameof(strides));
        }
    }

    /// <summary>Checks that a view's elements lie in its memory.</summary>
    /// <exception cref="ArgumentException">One does not.</exception>
    public static void CheckWithin(in StridedView view)
    {
        var end = checked(view.ByteOffset + ExtentInBytes(view));
        if (view.ByteOffset < 0 || end > view.Memory.Length)
        {
            throw new ArgumentException(
                $"{view.DType.Name} {view.Shape} at byte {view.ByteOffset} ends at {end}, beyond the memory's {view.Memory.Length} bytes.");
        }
    }

    /// <summary>Checks that rows consist of whole blocks, and sub-byte elements of whole bytes.</summary>
    public static void CheckRows(DType dtype, Shape shape)
    {
        if (dtype.IsBlock ? shape.Rank == 0 || shape[^1] % dtype.BlockLength != 0 : !dtype.FillsBytes(shape.ElementCount))
        {
            throw new ArgumentException(
                dtype.IsBlock
                    ? $"The rows of {shape} do not consist of whole blocks of {dtype.Name}, {dtype.BlockLength} elements each."
                    : $"{shape.ElementCount} elements of {dtype.Name} do not fill whole bytes.",
                nameof(shape));
        }
    }

    /// <summary>The strides of a contiguous tensor: in elements, or in blocks for block types.</summary>
    public static ImmutableArray<long> RowMajorStrides(DType dtype, Shape shape) =>
        dtype.IsBlock ? shape.With(shape.Rank - 1, shape[^1] / dtype.BlockLength).RowMajorStrides() : shape.RowMajorStrides();

    /// <summary>The byte offset of a sub-byte element, which must be the first of a byte.</summary>
    public static long SubByteOffset(Tensor tensor, long elements) =>
        tensor.DType.FillsBytes(elements)
            ? tensor.DType.ByteCount(elements)
            : throw new ArgumentException(
                $"Element {elements} of {tensor} begins inside a group of {tensor.DType.BlockLength} that fills whole bytes; "
                + $"decode the part instead ({nameof(Tensor.Decode)}).");

    /// <summary>A shape of which one dimension may be -1.</summary>
    public static Shape ResolveShape(ReadOnlySpan<long> dimensions, long elements)
    {
        var resolved = dimensions.ToArray();
        var open = Array.IndexOf(resolved, -1);
        if (open >= 0)
        {
            resolved[open] = 1;
            var others = new Shape(resolved).ElementCount;
            if (others == 0 || elements % others != 0)
            {
                throw new ArgumentException($"{elements} elements cannot be seen as [{string.Join(", ", dimensions.ToArray())}].", nameof(dimensions));
            }

            resolved[open] = elements / others;
        }

        var shape = new Shape(resolved);
        return shape.ElementCount == elements
            ? shape
            : throw new ArgumentException($"{elements} elements cannot be seen as {shape}.", nameof(dimensions));
    }

    /// <summary>The strides under which a view's elements have another shape, or null where that takes a copy.</summary>
    /// <remarks>
    /// Dimensions that lie side by side form runs; each new dimension must divide one run. For a contiguous view there is
    /// one run, and the strides are the row-major ones.
    /// </remarks>
    public static ImmutableArray<long>? ViewStrides(in StridedView view, Shape shape)
    {
        if (view.IsContiguous || shape.ElementCount == 0)
        {
            return RowMajorStrides(view.DType, shape);
        }

        var oldSizes = InUnits(view.DType, view.Shape);
        var newSizes = InUnits(view.DType, shape);
        var strides = new long[shape.Rank];
        var next = strides.Length - 1;
        long runSize = 1;
        var runStride = oldSizes.Length > 0 ? view.Strides[^1] : 1;
        for (var i = oldSizes.Length - 1; i >= 0; i--)
        {
            runSize *= oldSizes[i];
            var runEnds = i == 0 || (oldSizes[i - 1] != 1 && view.Strides[i - 1] != runSize * runStride);
            if (!runEnds)
            {
                continue;
            }

            // New dimensions from the innermost, as many as this run holds.
            long taken = 1;
            while (next >= 0 && (taken < runSize || newSizes[next] == 1))
            {
                strides[next] = taken * runStride;
                taken *= newSizes[next--];
            }

            if (taken != runSize)
            {
                return null;
            }

            runSize = 1;
            runStride = i > 0 ? view.Strides[i - 1] : 1;
        }

        return next < 0 ? ImmutableCollectionsMarshal.AsImmutableArray(strides) : null;
    }

    /// <summary>Checks that no two elements share a place, by what is certain: each stride passes all that lies within it.</summary>
    /// <exception cref="ArgumentException">They may.</exception>
    public static void CheckNoPlaceTwice(in StridedView view)
    {
        if (view.IsContiguous)
        {
            return;
        }

        var (sizes, strides) = (InUnits(view.DType, view.Shape), view.Strides);
        long extent = 0;
        foreach (var dimension in Enumerable.Range(0, sizes.Length).Where(i => sizes[i] > 1).OrderBy(i => strides[i]))
        {
            if (strides[dimension] <= extent)
            {
                throw new ArgumentException(
                    $"Elements of {view.DType.Name} {view.Shape} with strides [{string.Join(", ", strides)}] share places, "
                    + "so that they cannot be written each; copy the tensor first.");
            }

            extent = checked(extent + ((sizes[dimension] - 1) * strides[dimension]));
        }
    }

    /// <summary>From the first byte of the first element to the last byte of the last.</summary>
    public static long ExtentInBytes(in StridedView view)
    {
        if (view.Shape.ElementCount == 0)
        {
            return 0;
        }

        if (view.DType.IsSubByte && view.IsContiguous)
        {
            return view.DType.ByteCount(view.Shape.ElementCount);
        }

        if (view.DType.IsSubByte)
        {
            return SubByteExtent(view);
        }

        return checked((StridedView.LastElementOf(view.DType, view.Shape, view.Strides) + 1) * view.DType.BlockSize);
    }

    // Rows that are not side by side must each begin and end on a byte, or a copy of them would cut bytes in two.
    private static long SubByteExtent(in StridedView view)
    {
        var group = view.DType.BlockLength;
        for (var i = 0; i < view.Shape.Rank; i++)
        {
            var inner = i == view.Shape.Rank - 1;
            if (inner ? view.Strides[i] != 1 || view.Shape[i] % group != 0 : view.Shape[i] > 1 && view.Strides[i] % group != 0)
            {
                throw new ArgumentException(
                    $"Rows of {view.DType.Name} {view.Shape} with strides [{string.Join(", ", view.Strides)}] do not begin and end on "
                    + $"bytes; decode the part instead ({nameof(Tensor.Decode)}).");
            }
        }

        var last = StridedView.LastElementOf(view.DType, view.Shape, view.Strides);
        return view.DType.ByteCount(checked(last + 1 + group - 1) / group * group);
    }

    private static long[] InUnits(DType dtype, Shape shape)
    {
        var sizes = shape.Dimensions.ToArray();
        if (dtype.IsBlock)
        {
            sizes[^1] /= dtype.BlockLength;
        }

        return sizes;
    }
}
