using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>The smallest box of a parameter that holds the elements of a place: from the first to the last index of each dimension. Immutable.</summary>
internal readonly struct ElementBox
{
    private readonly ImmutableArray<long> _first;
    private readonly ImmutableArray<long> _last;

    private ElementBox(ImmutableArray<long> first, ImmutableArray<long> last) => (_first, _last) = (first, last);

    /// <summary>Finds the box; null for a place without elements.</summary>
    /// <param name="place">The place.</param>
    /// <param name="parameter">The parameter's dimensions.</param>
    public static ElementBox? Of(ParameterPlace place, Shape parameter)
    {
        if (place.Shape.ElementCount == 0)
        {
            return null;
        }

        // In blocks where there are such, of which each row has as many.
        var unit = place.DType.IsBlock ? place.DType.BlockLength : 1;
        long[] sizes = [.. parameter];
        var first = place.ByteOffset * place.DType.BlockLength / place.DType.BlockSize / unit;
        var last = first + StridedView.LastElementOf(place.DType, place.Shape, place.Strides);
        if (sizes.Length > 0)
        {
            sizes[^1] /= unit;
        }

        return new ElementBox(IndexOf(first, sizes), IndexOf(last, sizes));
    }

    /// <summary>How many units (elements, or blocks) the box has.</summary>
    public long Volume => Common(this);

    /// <summary>How many units (elements, or blocks) two boxes of one parameter have in common.</summary>
    public long Common(in ElementBox other)
    {
        long common = 1;
        for (var i = 0; i < _first.Length; i++)
        {
            var size = Math.Min(_last[i], other._last[i]) - Math.Max(_first[i], other._first[i]) + 1;
            if (size <= 0)
            {
                return 0;
            }

            common *= size;
        }

        return common;
    }

    private static ImmutableArray<long> IndexOf(long element, ReadOnlySpan<long> sizes)
    {
        var index = new long[sizes.Length];
        for (var i = sizes.Length - 1; i >= 0; i--)
        {
            (element, index[i]) = Math.DivRem(element, sizes[i]);
        }

        return [.. index];
    }
}
