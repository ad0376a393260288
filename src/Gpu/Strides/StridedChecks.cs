using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Which copies between views convert, on every device alike.</summary>
internal static class StridedChecks
{
    /// <summary>Checks that a view's elements can be converted into another's, and finds what decodes them.</summary>
    /// <exception cref="ArgumentException">There is no such conversion, or rows end inside a byte.</exception>
    public static Codec CheckConversion(in StridedView source, in StridedView destination)
    {
        var codec = Codecs.Of(source.DType);
        if (!codec.CanDecodeTo(destination.DType) || codec.ValuesPerElement != 1)
        {
            throw new ArgumentException($"There is no conversion from {source.DType.Name} to {destination.DType.Name}.");
        }

        if (source.Shape.Rank > 0 && !source.DType.FillsBytes(source.Shape[^1]) && !(source.IsContiguous && destination.IsContiguous))
        {
            throw new ArgumentException(
                $"Rows of {source.DType.Name} {source.Shape} end inside a byte, so that they convert only into a contiguous tensor; "
                + "convert into one first.");
        }

        return codec;
    }
}
