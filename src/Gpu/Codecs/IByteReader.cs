namespace IlgpuLoader.Gpu;

/// <summary>
/// Random access to stored little-endian bytes, as a unit body sees them: a pointer on the host, an array view on a
/// device. Offsets are in bytes and need no alignment; nothing is checked, the caller stays in range.
/// </summary>
/// <remarks>
/// Implementations are structs, so that the .NET JIT and ILGPU compile a body once for each of them with the reads inlined.
/// Everything is an <see cref="int"/> or a <see cref="long"/>: the only forms whose reinterpretation as a float ILGPU knows.
/// </remarks>
public interface IByteReader
{
    /// <summary>One byte, zero-extended.</summary>
    int ReadByte(long offset);

    /// <summary>Two bytes, zero-extended.</summary>
    int ReadUInt16(long offset);

    /// <summary>Four bytes.</summary>
    int ReadInt32(long offset);

    /// <summary>Eight bytes.</summary>
    long ReadInt64(long offset);
}
