using System.Runtime.CompilerServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Stores decoded values in a kernel: four at a time as one packet, the rest of an output one by one.</summary>
/// <remarks>The view begins on a multiple of a packet; four values begin on a multiple of four.</remarks>
internal readonly struct PacketSink<TPacket, TElement, TPacker>(ArrayView<byte> destination) : IValueSink
    where TPacket : unmanaged
    where TElement : unmanaged
    where TPacker : struct, IPacker<TPacket, TElement>
{
    private readonly ArrayView<TPacket> _packets = destination.Cast<TPacket>();
    private readonly ArrayView<TElement> _elements = destination.Cast<TElement>();

    public static bool TakesDouble => TPacker.TakesDouble;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) => _elements[index] = TPacker.Narrow(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth) =>
        _packets[index >> 2] = TPacker.Pack(first, second, third, fourth);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => _elements[index] = TPacker.NarrowDouble(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth) =>
        _packets[index >> 2] = TPacker.PackDoubles(first, second, third, fourth);
}
