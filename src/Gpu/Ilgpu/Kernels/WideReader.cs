using System.Runtime.CompilerServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Reads where every offset is a multiple of what is read, 8 bytes included: one load each. CUDA ends a kernel that loads from any other
/// address.
/// </summary>
internal readonly struct WideReader : IViewReader<WideReader>
{
    private readonly ArrayView<int> _words;
    private readonly ArrayView<long> _pairs;
    private readonly long _start;

    private WideReader(ArrayView<byte> bytes, long start)
    {
        _words = bytes.Cast<int>();
        _pairs = bytes.Cast<long>();
        _start = start;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WideReader Over(ArrayView<byte> bytes, long start) => new(bytes, start);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadByte(long offset) => (_words[(_start + offset) >> 2] >> (((int)(_start + offset) & 3) * 8)) & 0xFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadUInt16(long offset) => (_words[(_start + offset) >> 2] >> (((int)(_start + offset) & 2) * 8)) & 0xFFFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadInt32(long offset) => _words[(_start + offset) >> 2];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long ReadInt64(long offset) => _pairs[(_start + offset) >> 3];
}
