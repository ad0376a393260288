using System.Runtime.CompilerServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Pseudo-random values: four elements a thread, one packet.</summary>
internal static class UniformKernels
{
    /// <summary>Fills elements with the values of their indices.</summary>
    /// <param name="destination">Room for the elements; begins on a multiple of a packet.</param>
    /// <param name="firstPacket">The packet of the first thread.</param>
    /// <param name="count">The elements of the whole output.</param>
    /// <param name="values">What is written.</param>
    public static void Fill<TPacket, TElement, TPacker>(
        ArrayView<byte> destination, long firstPacket, long count, UniformValues values)
        where TPacket : unmanaged
        where TElement : unmanaged
        where TPacker : struct, IPacker<TPacket, TElement>
    {
        var sink = new PacketSink<TPacket, TElement, TPacker>(destination);
        var index = (firstPacket + Threads.Index) * 4;
        if (index + 4 <= count)
        {
            sink.WriteFour(index, values.At(index), values.At(index + 1), values.At(index + 2), values.At(index + 3));
            return;
        }

        for (; index < count; index++)
        {
            sink.WriteSingle(index, values.At(index));
        }
    }
}

/// <summary>The arguments of a random fill.</summary>
/// <param name="seed">The tensor's seed.</param>
/// <param name="firstElement">The index of the output's first element in the tensor.</param>
/// <param name="low">The least value.</param>
/// <param name="range">The width of the interval.</param>
internal readonly struct UniformValues(ulong seed, long firstElement, float low, float range)
{
    private readonly ulong _seed = seed;
    private readonly long _firstElement = firstElement;
    private readonly float _low = low;
    private readonly float _range = range;
    // An argument, so that no compiler knows it and what it separates is never fused (CounterRandom).
    private readonly int _zero = 0;

    /// <summary>The bits of an element's float32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int At(long index) => CounterRandom.UniformBits(_seed, _firstElement + index, _low, _range, _zero);
}
