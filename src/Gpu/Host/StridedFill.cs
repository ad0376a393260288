using System.Buffers;

namespace IlgpuLoader.Gpu;

/// <summary>Fills host views with one element's bytes.</summary>
internal static unsafe class StridedFill
{
    // Repetitions of the element that are copied at a time: they stay in the first-level cache.
    private const int PatternBytes = 4096;

    /// <summary>Gives every element or group of a view the same bytes.</summary>
    /// <param name="destination">The view's first byte.</param>
    /// <param name="view">The view.</param>
    /// <param name="element">The bytes of one element or group.</param>
    public static void Fill(byte* destination, in StridedView view, ReadOnlySpan<byte> element)
    {
        view.CheckElement(element);
        var layout = StridedLayout.Create(view, view);
        var first = (nint)destination;

        // Contiguous F4 and F6 are laid out as bytes; their runs begin with a group all the same.
        if (layout.DestinationStride == layout.DestinationUnitBytes)
        {
            var length = Math.Max(1, PatternBytes / element.Length) * element.Length;
            var pattern = ArrayPool<byte>.Shared.Rent(length);
            for (var i = 0; i < length; i += element.Length)
            {
                element.CopyTo(pattern.AsSpan(i));
            }

            var runBytes = layout.RunUnits * layout.DestinationUnitBytes;
            layout.ForEachRun((_, d) => Repeat(pattern.AsSpan(0, length), (byte*)first + d, runBytes));
            ArrayPool<byte>.Shared.Return(pattern);
            return;
        }

        fixed (byte* bytes = element)
        {
            var from = (nint)bytes;
            layout.ForEachRun((_, d) => HostStream.CopyStrided(
                (byte*)from, 0, (byte*)first + d, layout.DestinationStride, layout.RunUnits, layout.DestinationUnitBytes));
        }
    }

    private static void Repeat(ReadOnlySpan<byte> pattern, byte* destination, long bytes)
    {
        for (long done = 0; done < bytes; done += pattern.Length)
        {
            var count = (int)Math.Min(pattern.Length, bytes - done);
            pattern[..count].CopyTo(new Span<byte>(destination + done, count));
        }
    }
}
