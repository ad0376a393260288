using System.Runtime.CompilerServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Reads at any offset: the two words of four bytes that hold the wanted ones, shifted together. For blocks of 18 or 17 bytes that is
/// less than loading byte by byte.
/// </summary>
internal readonly struct FunnelReader : IViewReader<FunnelReader>
{
    private readonly ArrayView<int> _words;
    private readonly long _start;

    private FunnelReader(ArrayView<byte> bytes, long start)
    {
        _words = bytes.Cast<int>();
        _start = start;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static FunnelReader Over(ArrayView<byte> bytes, long start) => new(bytes, start);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadByte(long offset) => (_words[(_start + offset) >> 2] >> (((int)(_start + offset) & 3) * 8)) & 0xFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadUInt16(long offset) => ReadInt32(offset) & 0xFFFF;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadInt32(long offset)
    {
        var position = _start + offset;
        var word = position >> 2;
        // Behind the last word there may be nothing; of an aligned read the second word is not wanted anyway.
        var last = _words.Length - 1;
        var next = word < last ? word + 1 : last;
        var both = (_words[word] & 0xFFFF_FFFFL) | ((long)_words[next] << 32);
        return (int)(both >> (((int)position & 3) * 8));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long ReadInt64(long offset) => (ReadInt32(offset) & 0xFFFF_FFFFL) | ((long)ReadInt32(offset + 4) << 32);
}
