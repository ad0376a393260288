using System.Runtime.CompilerServices;

namespace IlgpuLoader.Gpu;

/// <summary>Stored bytes behind a pointer that the caller keeps pinned.</summary>
internal readonly unsafe struct PointerReader(byte* source) : IByteReader
{
    private readonly byte* _source = source;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadByte(long offset) => _source[offset];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadUInt16(long offset) => Unsafe.ReadUnaligned<ushort>(_source + offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int ReadInt32(long offset) => Unsafe.ReadUnaligned<int>(_source + offset);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public long ReadInt64(long offset) => Unsafe.ReadUnaligned<long>(_source + offset);
}
