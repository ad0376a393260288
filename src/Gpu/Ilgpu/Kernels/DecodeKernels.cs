using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>The kernels that decode: the shared unit bodies over array views. Nothing is decoded here.</summary>
/// <remarks>
/// All are explicitly grouped. Of the index that ILGPU 1.5.3 hands to an automatically grouped kernel it believes that it is the same
/// for all threads, and marks branches that depend on it as such (<c>bra.uni</c> in PTX), which leaves their outcome undefined.
/// </remarks>
internal static class DecodeKernels
{
    /// <summary>
    /// Threads of a group, of which each has a unit or a granule: 128 fill an SM's threads evenly on every CUDA GPU so far, and their packets
    /// of F64, 32 KiB, fit its shared memory.
    /// </summary>
    public const int GroupSize = 128;

    private const int GroupPackets = GroupSize * Unit.Length / 4;

    /// <summary>
    /// Types whose elements stand alone: a thread decodes one granule (<see cref="IUnitDecoder.Granule"/>), so that neighbours load and
    /// store side by side.
    /// </summary>
    /// <param name="source">The stored bytes.</param>
    /// <param name="start">Where the first stored element begins in them.</param>
    /// <param name="destination">Room for the values.</param>
    /// <param name="firstGranule">The granule of the first thread of all.</param>
    /// <param name="valueCount">Values in the whole output.</param>
    public static void Elements<TDecoder, TReader, TPacket, TElement, TPacker>(
        ArrayView<byte> source, long start, ArrayView<byte> destination, long firstGranule, long valueCount)
        where TDecoder : struct, IUnitDecoder
        where TReader : struct, IViewReader<TReader>
        where TPacket : unmanaged
        where TElement : unmanaged
        where TPacker : struct, IPacker<TPacket, TElement>
    {
        var granule = firstGranule + ((long)ILGPU.Grid.IdxX * Group.DimX) + Group.IdxX;
        var firstIndex = granule * TDecoder.Granule;
        var rest = valueCount - firstIndex;
        if (rest <= 0)
        {
            return;
        }

        var count = rest < TDecoder.Granule ? (int)rest : TDecoder.Granule;
        var offset = granule * (TDecoder.BlockBytes / (Unit.Length / TDecoder.Granule));
        var reader = TReader.Over(source, start);
        TDecoder.DecodeUnit(reader, reader, offset, 0, count, new PacketSink<TPacket, TElement, TPacker>(destination), firstIndex);
    }

    /// <summary>Block types: a thread decodes a unit into shared memory, and the group stores it.</summary>
    /// <param name="source">The stored blocks.</param>
    /// <param name="start">Where the first begins in them.</param>
    /// <param name="table">The bytes of <see cref="IUnitDecoder.Table"/>.</param>
    /// <param name="destination">Room for the values.</param>
    /// <param name="firstUnit">The unit of the first thread of all.</param>
    /// <param name="unitCount">Units in the whole output.</param>
    public static void Blocks<TDecoder, TReader, TPacket, TElement, TPacker>(
        ArrayView<byte> source, long start, ArrayView<byte> table, ArrayView<byte> destination, long firstUnit, long unitCount)
        where TDecoder : struct, IUnitDecoder
        where TReader : struct, IViewReader<TReader>
        where TPacket : unmanaged
        where TElement : unmanaged
        where TPacker : struct, IPacker<TPacket, TElement>
    {
        var shared = SharedMemory.Allocate<TPacket>(GroupPackets);
        var firstOfGroup = firstUnit + ((long)ILGPU.Grid.IdxX * Group.DimX);
        var unit = firstOfGroup + Group.IdxX;
        if (unit < unitCount)
        {
            Unit.Decode<TDecoder, TReader, WordReader, SharedSink<TPacket, TElement, TPacker>>(
                TReader.Over(source, start),
                WordReader.Over(table, 0),
                new SharedSink<TPacket, TElement, TPacker>(shared, Group.IdxX),
                unit,
                unitCount * Unit.Length);
        }

        Group.Barrier();
        var rest = unitCount - firstOfGroup;
        var units = rest < Group.DimX ? (int)rest : Group.DimX;
        var packets = destination.Cast<TPacket>();
        var first = firstOfGroup * SharedSink<TPacket, TElement, TPacker>.PacketsPerUnit;
        for (var i = Group.IdxX; i < units * SharedSink<TPacket, TElement, TPacker>.PacketsPerUnit; i += Group.DimX)
        {
            packets[first + i] = shared[SharedSink<TPacket, TElement, TPacker>.PlaceOf(i >> 3, i & 7)];
        }
    }
}
