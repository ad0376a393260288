using System.Runtime.CompilerServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Keeps the values of one thread's unit in shared memory, from where the threads of the group store them side by side: what a
/// thread alone would store lies 64 to 128 bytes from its neighbours', and a GPU's memory is written in runs of 32.
/// </summary>
/// <param name="packets">The group's packets, eight a unit.</param>
/// <param name="unit">The number of the unit in the group.</param>
internal readonly struct SharedSink<TPacket, TElement, TPacker>(ArrayView<TPacket> packets, int unit) : IValueSink
    where TPacket : unmanaged
    where TElement : unmanaged
    where TPacker : struct, IPacker<TPacket, TElement>
{
    /// <summary>The packets of a unit.</summary>
    public const int PacketsPerUnit = Unit.Length / 4;

    private readonly ArrayView<TPacket> _packets = packets;
    private readonly int _unit = unit;

    public static bool TakesDouble => TPacker.TakesDouble;

    /// <summary>Where a packet of a unit lies: mixed, so that neither those who write nor those who read meet in one bank.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int PlaceOf(int unit, int packet) =>
        (unit * PacketsPerUnit) + (packet ^ ((unit >> TPacker.SwizzleShift) & (PacketsPerUnit - 1)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteSingle(long index, int bits) => _packets.Cast<TElement>()[ElementOf(index)] = TPacker.Narrow(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFour(long index, int first, int second, int third, int fourth) =>
        _packets[PlaceOf(_unit, PacketOf(index))] = TPacker.Pack(first, second, third, fourth);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteDouble(long index, long bits) => _packets.Cast<TElement>()[ElementOf(index)] = TPacker.NarrowDouble(bits);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void WriteFourDoubles(long index, long first, long second, long third, long fourth) =>
        _packets[PlaceOf(_unit, PacketOf(index))] = TPacker.PackDoubles(first, second, third, fourth);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int PacketOf(long index) => ((int)index & (Unit.Length - 1)) >> 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int ElementOf(long index) => (PlaceOf(_unit, PacketOf(index)) * 4) + ((int)index & 3);
}
