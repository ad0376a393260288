using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>Decoding a part that has no view of its own.</content>
public sealed partial class Tensor
{
    /// <summary>
    /// A contiguous copy of a part of one dimension in another dtype, on the same device: <see cref="Narrow"/> and
    /// <see cref="To(DType)"/> at once, and the way to a part that begins or ends inside a byte (F4, F6) or a block.
    /// </summary>
    /// <param name="dtype">The dtype of the copy, one of <see cref="Codecs.Targets"/>; or the own one, where the part has a view.</param>
    /// <param name="dimension">The dimension, counted from the outermost; negative counts from the end.</param>
    /// <param name="start">The first index kept.</param>
    /// <param name="length">How many are kept; 0 is allowed.</param>
    /// <returns>A new tensor. Beside it, a few megabytes at most are allocated, and freed before this returns.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such dimension, or the part is not within it.</exception>
    /// <exception cref="ArgumentException">There is no conversion to the dtype.</exception>
    /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public Tensor Decode(DType dtype, int dimension, long start, long length)
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        dimension = ResolveDimension(dimension);
        ArgumentOutOfRangeException.ThrowIfNegative(start);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(start, Shape[dimension] - length);
        var rowsAreWhole = DType.FillsBytes(Shape[^1]);
        var hasView = rowsAreWhole && (dimension != Shape.Rank - 1 || (DType.FillsBytes(start) && DType.FillsBytes(length)));
        if (hasView || dtype == DType)
        {
            using var part = Narrow(dimension, start, length);
            return part.To(dtype);
        }

        if (Device.Kind == DeviceKind.Meta)
        {
            return Empty(dtype, Shape.With(dimension, length), Device);
        }

        if (!Codecs.Of(DType).CanDecodeTo(dtype))
        {
            throw new ArgumentException($"There is no conversion from {DType.Name} to {dtype.Name}.", nameof(dtype));
        }

        var copy = Empty(dtype, Shape.With(dimension, length), Device);
        try
        {
            using var decoder = new PartDecoder(this, copy);
            if (rowsAreWhole)
            {
                decoder.DecodeColumns(start);
            }
            else
            {
                decoder.DecodeFlat(dimension, start);
            }

            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }
}
