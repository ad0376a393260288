using System.Runtime.CompilerServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Reads where every offset is a multiple of what is read, up to 4 bytes; 8 bytes are two loads.</summary>
internal readonly struct WordReader : IViewReader<WordReader>
{
    private readonly ArrayView<int> _words;
    private readonly long _start;

    private WordReader(ArrayView<byte> bytes, long start)
    {
        _words = bytes.Cast<int>();
        _start = start;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static WordReader Over(ArrayView<byte> bytes, long start) => new(bytes, start);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadByte(long offset) => (ReadInt32(offset) >> (((int)(_start + offset) & 3) * 8)) & 0xFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadUInt16(long offset) => (ReadInt32(offset) >> (((int)(_start + offset) & 2) * 8)) & 0xFFFF;

    // The word that the offset lies in.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadInt32(long offset) => _words[(_start + offset) >> 2];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long ReadInt64(long offset) => (ReadInt32(offset) & 0xFFFF_FFFFL) | ((long)ReadInt32(offset + 4) << 32);
}
