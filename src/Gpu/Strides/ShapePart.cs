using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A part of a shape whose elements follow each other in row-major order: work of bounded size.</summary>
/// <param name="Starts">The first index in each dimension.</param>
/// <param name="Shape">How many indices in each dimension.</param>
/// <param name="FirstElement">The row-major index of the first element in the whole.</param>
internal readonly record struct ShapePart(long[] Starts, Shape Shape, long FirstElement)
{
    /// <summary>Cuts a shape along the outermost dimensions.</summary>
    /// <param name="shape">The shape.</param>
    /// <param name="group">Elements of the last dimension that stay together; it divides that dimension and <paramref name="elements"/>.</param>
    /// <param name="elements">The most elements of a part.</param>
    /// <returns>The parts in row-major order; none of an empty shape.</returns>
    public static IEnumerable<ShapePart> Cut(Shape shape, int group, long elements)
    {
        if (shape.ElementCount == 0)
        {
            yield break;
        }

        if (shape.ElementCount <= elements)
        {
            yield return new ShapePart(new long[shape.Rank], shape, 0);
            yield break;
        }

        // All dimensions behind this one are in one part; of those before it there is one index in each.
        var dimension = 0;
        var inner = shape.ElementCount / shape[0];
        while (inner > elements)
        {
            inner /= shape[++dimension];
        }

        var step = elements / inner;
        step -= dimension == shape.Rank - 1 ? step % group : 0;
        for (long first = 0; first < shape.ElementCount;)
        {
            var (starts, sizes) = (new long[shape.Rank], shape.Dimensions.ToArray());
            var index = first / inner;
            for (var i = dimension; i >= 0; i--)
            {
                (index, starts[i]) = Math.DivRem(index, shape[i]);
                sizes[i] = i == dimension ? Math.Min(step, shape[i] - starts[i]) : 1;
            }

            yield return new ShapePart(starts, new Shape(sizes), first);
            first += sizes[dimension] * inner;
        }
    }

    /// <summary>The elements of this part in a view of the whole.</summary>
    public StridedView Of(in StridedView view)
    {
        var dtype = view.DType;
        var offset = view.ByteOffset;
        for (var i = 0; i < Starts.Length; i++)
        {
            // Strides of block types count blocks in every dimension, those of sub-byte types count elements.
            var inUnits = dtype.IsBlock && i == Starts.Length - 1 ? Starts[i] / dtype.BlockLength : Starts[i];
            var units = checked(inUnits * view.Strides[i]);
            offset = checked(offset + ((dtype.IsSubByte ? units / dtype.BlockLength : units) * dtype.BlockSize));
        }

        return view with { Shape = Shape, ByteOffset = offset };
    }
}
