using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Drives the decoding of whole blocks over vectors, once for all types, targets and widths.</summary>
internal static unsafe class BlockConversion
{
    /// <summary>Values of one block.</summary>
    public static int LengthOf<TDecoder>()
        where TDecoder : struct, IUnitDecoder => Unit.Length << TDecoder.UnitsPerBlockShift;

    /// <summary>Decodes <paramref name="blocks"/> blocks with vectors of one width.</summary>
    /// <param name="source">The first block; any alignment.</param>
    /// <param name="destination">Where the first value goes; any alignment.</param>
    /// <param name="blocks">How many blocks.</param>
    /// <param name="bypassCache">
    /// Whether to use streaming stores, where the destination has the alignment that they need. A block's output is whole
    /// vectors, so that all of it is aligned or none; tensors and staging slots are.
    /// </param>
    public static void Run<TWidth, TDecoder, TVectors, TTarget>(byte* source, byte* destination, nint blocks, bool bypassCache)
        where TWidth : struct, IVectorWidth
        where TDecoder : struct, IUnitDecoder
        where TVectors : struct, IBlockVectors
        where TTarget : struct, IVectorTarget
    {
        if (bypassCache && (nuint)destination % VectorConversion.CacheLine == 0)
        {
            Run<TWidth, TDecoder, TVectors, TTarget, StreamingStores>(source, destination, blocks);
            VectorConversion.OrderStreamingStores();
        }
        else
        {
            Run<TWidth, TDecoder, TVectors, TTarget, CachedStores>(source, destination, blocks);
        }
    }

    // The loop has a method of its own for each kind of stores: its constants then stay in registers.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Run<TWidth, TDecoder, TVectors, TTarget, TStores>(byte* source, byte* destination, nint blocks)
        where TWidth : struct, IVectorWidth
        where TDecoder : struct, IUnitDecoder
        where TVectors : struct, IBlockVectors
        where TTarget : struct, IVectorTarget
        where TStores : struct, IStores
    {
        nint stored = TDecoder.BlockBytes;
        nint decoded = LengthOf<TDecoder>() * TTarget.Size;
        var end = source + (blocks * stored);
        for (; source < end; source += stored, destination += decoded)
        {
            TWidth.Decode<TVectors, TTarget, TStores>(source, destination);
        }
    }
}
