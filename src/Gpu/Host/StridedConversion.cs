using System.Buffers;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>Conversions between host views: contiguous, row by row, or gathered and scattered.</summary>
internal static unsafe class StridedConversion
{
    // Elements converted at a time where rows are gathered: input and output stay in the first-level cache.
    private const int GatherElements = 1024;

    // A conversion of contiguous elements is cut, since a span counts in 32 bits. A multiple of every block's length.
    private const long ConvertElements = 1L << 24;

    /// <summary>Converts elements that lie side by side in both.</summary>
    public static void ConvertContiguous(byte* source, byte* destination, long elements, DType stored, DType target, Codec codec)
    {
        for (long done = 0; done < elements; done += ConvertElements)
        {
            var count = Math.Min(ConvertElements, elements - done);
            codec.Decode(
                new ReadOnlySpan<byte>(source + stored.ByteCount(done), (int)stored.ByteCount(count)),
                new Span<byte>(destination + target.ByteCount(done), (int)target.ByteCount(count)),
                target,
                bypassCache: target.ByteCount(elements) >= HostStream.BypassCacheBytes);
        }
    }

    /// <summary>Converts between any strides; the source's rows are whole groups or blocks.</summary>
    public static void Convert(byte* source, byte* destination, in StridedView from, in StridedView to, Codec codec)
    {
        var layout = StridedLayout.Create(from, to);
        var (stored, target) = (from.DType, to.DType);
        var (first, result) = ((nint)source, (nint)destination);

        // Within a unit of the destination its elements have a stride of their own.
        var elementStride = (from.Shape.Rank == 0 ? 1 : to.Strides[^1]) * target.BlockSize;
        var isPacked = elementStride == target.BlockSize || stored.BlockLength == 1;
        if (layout.SourceStride == layout.SourceUnitBytes && layout.DestinationStride == layout.DestinationUnitBytes && isPacked)
        {
            var elements = layout.RunUnits * stored.BlockLength;
            layout.ForEachRun((s, d) => ConvertContiguous((byte*)first + s, (byte*)result + d, elements, stored, target, codec));
            return;
        }

        var units = Math.Max(1, GatherElements / stored.BlockLength);
        var input = ArrayPool<byte>.Shared.Rent((int)(units * layout.SourceUnitBytes));
        var output = ArrayPool<byte>.Shared.Rent((int)(units * layout.DestinationUnitBytes));
        try
        {
            layout.ForEachRun((s, d) =>
            {
                for (long done = 0; done < layout.RunUnits; done += units)
                {
                    var count = (int)Math.Min(units, layout.RunUnits - done);
                    Gather((byte*)first + s + (done * layout.SourceStride), layout, input, count);
                    codec.Decode(
                        input.AsSpan(0, (int)(count * layout.SourceUnitBytes)), output.AsSpan(0, (int)(count * layout.DestinationUnitBytes)), target);
                    var place = (byte*)result + d + (done * layout.DestinationStride);
                    if (isPacked)
                    {
                        Scatter(output, place, layout, count);
                    }
                    else
                    {
                        ScatterElements(output, place, layout, count, target.BlockSize, elementStride);
                    }
                }
            });
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(input);
            ArrayPool<byte>.Shared.Return(output);
        }
    }

    private static void Gather(byte* source, StridedLayout layout, byte[] input, long count)
    {
        fixed (byte* gathered = input)
        {
            HostStream.CopyStrided(source, layout.SourceStride, gathered, layout.SourceUnitBytes, count, layout.SourceUnitBytes);
        }
    }

    private static void Scatter(byte[] output, byte* destination, StridedLayout layout, long count)
    {
        fixed (byte* converted = output)
        {
            var unit = layout.DestinationUnitBytes;
            HostStream.CopyStrided(converted, unit, destination, layout.DestinationStride, count, unit);
        }
    }

    private static void ScatterElements(byte[] output, byte* destination, StridedLayout layout, long count, long size, long stride)
    {
        fixed (byte* converted = output)
        {
            var unit = layout.DestinationUnitBytes;
            for (long i = 0; i < count; i++)
            {
                HostStream.CopyStrided(converted + (i * unit), size, destination + (i * layout.DestinationStride), stride, unit / size, size);
            }
        }
    }
}
