using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 144 bytes: 16 bytes of scales and minima (see <see cref="SixBitScales"/>), then 32 bytes for each 64 values,
/// whose low four bits are the first 32 quants and whose high four bits the last 32. A value is scale * quant - minimum.
/// </summary>
public readonly struct Q4_KUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 144;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = SixBitScales.ReadScale(reader, blockOffset, unit);
        var minimum = SixBitScales.ReadMinimum(reader, blockOffset, unit);
        var quants = blockOffset + SixBitScales.Size + ((unit >> 1) * Unit.Length);
        var shift = (unit & 1) * 4;
        for (var index = 0; index < Unit.Length; index += 4)
        {
            FourQuants.Write(sink, firstIndex + index, scale, (reader.ReadInt32(quants + index) >> shift) & 0x0F0F_0F0F, minimum);
        }
    }
}

/// <summary>Q4_K in vectors.</summary>
internal readonly unsafe struct Q4_KVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        SixBitScales.Read(block, out var scales, out var minima);
        var scale = (float*)&scales;
        var minimum = (float*)&minima;
        var quants = block + SixBitScales.Size;
        for (var unit = 0; unit < 8; unit += 2, quants += Unit.Length)
        {
            var packed = Vector256.Load(quants);
            output.Write<Minus>(
                unit, (packed & Vector256.Create((byte)0xF)).AsSByte(), scale[unit], minimum[unit], scale[unit], minimum[unit]);
            output.Write<Minus>(
                unit + 1, (packed >>> 4).AsSByte(), scale[unit + 1], minimum[unit + 1], scale[unit + 1], minimum[unit + 1]);
        }
    }
}
