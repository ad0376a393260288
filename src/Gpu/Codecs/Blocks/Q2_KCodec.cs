using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 84 bytes: 16 bytes with a block's scale (low four bits) and minimum (high four bits) for each 16 values, 32
/// bytes of quants for each half (two bits for each 32 values), an F16 scale of scales and one of minima. A value is
/// scale * block scale * quant - scale of minima * block minimum.
/// </summary>
public readonly struct Q2_KUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 84;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 80));
        var minimum = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 82));
        var numbers = reader.ReadUInt16(blockOffset + (unit * 2));
        var lowerScale = BlockArithmetic.Multiply(scale, numbers & 0xF);
        var lowerMinimum = BlockArithmetic.Multiply(minimum, (numbers >> 4) & 0xF);
        var upperScale = BlockArithmetic.Multiply(scale, (numbers >> 8) & 0xF);
        var upperMinimum = BlockArithmetic.Multiply(minimum, numbers >> 12);
        var quants = blockOffset + 16 + ((unit >> 2) * Unit.Length);
        var shift = (unit & 3) * 2;
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var lower = index < Unit.Length / 2;
            FourQuants.Write(
                sink,
                firstIndex + index,
                lower ? lowerScale : upperScale,
                (reader.ReadInt32(quants + index) >> shift) & 0x0303_0303,
                lower ? lowerMinimum : upperMinimum);
        }
    }
}

/// <summary>Q2_K in vectors.</summary>
internal readonly unsafe struct Q2_KVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block + 80)));
        var minimum = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block + 82)));
        var numbers = Vector128.Load(block);
        var scales = BlockScales.Multiply(scale, (numbers & Vector128.Create((byte)0xF)).AsSByte());
        var minima = BlockScales.Multiply(minimum, (numbers >>> 4).AsSByte());
        var scaleOf = (float*)&scales;
        var minimumOf = (float*)&minima;
        var quants = block + 16;
        for (var unit = 0; unit < 8; unit += 4, quants += Unit.Length, scaleOf += 8, minimumOf += 8)
        {
            // Shifted as words: what crosses from byte to byte is masked.
            var packed = Vector256.Load((ushort*)quants);
            Write(output, unit, packed, scaleOf, minimumOf);
            Write(output, unit + 1, packed >>> 2, scaleOf + 2, minimumOf + 2);
            Write(output, unit + 2, packed >>> 4, scaleOf + 4, minimumOf + 4);
            Write(output, unit + 3, packed >>> 6, scaleOf + 6, minimumOf + 6);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TOutput>(TOutput output, int unit, Vector256<ushort> quants, float* scales, float* minima)
        where TOutput : struct, IQuantOutput =>
        output.Write<Minus>(unit, (quants.AsByte() & Vector256.Create((byte)3)).AsSByte(), scales[0], minima[0], scales[1], minima[1]);
}
