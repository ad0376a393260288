using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 66 bytes: twice 32 bytes, whose lowest two bits are 32 quants, the next two bits the next 32 and so on, and an
/// F16 scale. A value is scale * (quant - 1).
/// </summary>
public readonly struct TQ2_0Unit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 66;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 64));
        var offset = blockOffset + ((unit >> 2) * Unit.Length);
        var shift = (unit & 3) * 2;
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var four = (reader.ReadInt32(offset + index) >> shift) & 0x0303_0303;
            PackedQuants.Write(sink, firstIndex + index, scale, four, 1);
        }
    }
}

/// <summary>TQ2_0 in vectors.</summary>
internal readonly unsafe struct TQ2_0Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block + 64);
        Decode(0, Vector256.Load(block), scale, output);
        Decode(4, Vector256.Load(block + 32), scale, output);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Decode<TOutput>(int unit, Vector256<byte> stored, float scale, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        output.Write(unit, Quants(stored), scale, scale);
        output.Write(unit + 1, Quants((stored.AsUInt16() >>> 2).AsByte()), scale, scale);
        output.Write(unit + 2, Quants((stored.AsUInt16() >>> 4).AsByte()), scale, scale);
        output.Write(unit + 3, Quants((stored.AsUInt16() >>> 6).AsByte()), scale, scale);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Quants(Vector256<byte> stored) =>
        (stored & Vector256.Create((byte)3)).AsSByte() - Vector256<sbyte>.One;
}
