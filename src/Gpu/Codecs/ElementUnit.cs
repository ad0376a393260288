using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>A unit of 32 elements that stand alone, four at a time and the tail of a short unit one by one.</summary>
/// <typeparam name="TElement">The element.</typeparam>
public readonly struct ElementUnit<TElement> : IUnitDecoder
    where TElement : struct, IElementDecoder
{
    static int IUnitDecoder.BlockBytes => Unit.Length * TElement.Size;

    static int IUnitDecoder.UnitsPerBlockShift => 0;

    static int IUnitDecoder.Granule => 4;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var index = 0;
        for (; index + 4 <= count; index += 4)
        {
            TElement.DecodeFour(reader, blockOffset + (index * TElement.Size), sink, firstIndex + index);
        }

        for (; index < count; index++)
        {
            TElement.Decode(reader, blockOffset + (index * TElement.Size), sink, firstIndex + index);
        }
    }
}
