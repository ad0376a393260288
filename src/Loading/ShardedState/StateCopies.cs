using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>Copies into tensors of which several elements may be in one place: expanded ones, and windows that slide over a memory.</summary>
internal static class StateCopies
{
    /// <summary>Copies a tensor into the first indices of each dimension of another, and clears the rest.</summary>
    /// <param name="source">As many dimensions, none larger.</param>
    /// <param name="target">Where to; both stay the caller's.</param>
    public static void CopyNarrowed(Tensor source, Tensor target)
    {
        if (source.Shape != target.Shape)
        {
            target.Fill(new byte[target.DType.BlockSize]);
        }

        using var part = Narrow(target, source.Shape);
        if (part.ElementCount > 0)
        {
            Copy(source, part);
        }
    }

    /// <summary>Copies a tensor into another of the same shape; where elements share a place, the last one stays, and they should be equal.</summary>
    public static void Copy(Tensor source, Tensor target) => Copy(source, target, 0);

    /// <summary>The first indices of each dimension.</summary>
    /// <exception cref="ArgumentException">A dimension ends inside a block or byte.</exception>
    public static Tensor Narrow(Tensor tensor, Shape shape)
    {
        var part = tensor.On(tensor.Device);
        try
        {
            for (var i = 0; i < shape.Rank; i++)
            {
                if (shape[i] != tensor.Shape[i])
                {
                    var narrower = part.Narrow(i, 0, shape[i]);
                    part.Dispose();
                    part = narrower;
                }
            }

            return part;
        }
        catch
        {
            part.Dispose();
            throw;
        }
    }

    /// <summary>A part of a tensor that has been made in the place of another, where it lies in that one.</summary>
    /// <param name="part">The part, in the memory of the other.</param>
    /// <param name="whole">The other, whose range has all of the part's; contiguous.</param>
    /// <param name="made">What has been made in its place; contiguous, of the same dtype and shape.</param>
    /// <returns>The view, which is the caller's.</returns>
    public static Tensor ViewOf(Tensor part, Tensor whole, Tensor made) =>
        new(made.Memory, part.DType, part.Shape, part.Strides, checked(made.ByteOffset + part.ByteOffset - whole.ByteOffset));

    private static void Copy(Tensor source, Tensor target, int dimension)
    {
        while (dimension < target.Shape.Rank && target.Shape[dimension] == 1)
        {
            dimension++;
        }

        if (dimension == target.Shape.Rank || !SharesPlaces(target))
        {
            target.CopyFrom(source);
            return;
        }

        // All indices of an expanded dimension are one place, and have one value.
        var count = target.Strides[dimension] == 0 ? 1 : target.Shape[dimension];
        for (long i = 0; i < count; i++)
        {
            using var from = source.Narrow(dimension, i, 1);
            using var to = target.Narrow(dimension, i, 1);
            Copy(from, to, dimension + 1);
        }
    }

    // As a copy sees it: by what is certain.
    private static bool SharesPlaces(Tensor tensor)
    {
        long extent = 0;
        var last = tensor.DType.IsBlock ? tensor.DType.BlockLength : 1;
        foreach (var (size, stride) in tensor.Strides.Select((stride, i) => (Size: i == tensor.Shape.Rank - 1 ? tensor.Shape[i] / last : tensor.Shape[i], stride))
            .Where(dimension => dimension.Size > 1).OrderBy(dimension => dimension.stride))
        {
            if (stride <= extent)
            {
                return true;
            }

            extent = checked(extent + ((size - 1) * stride));
        }

        return false;
    }
}
