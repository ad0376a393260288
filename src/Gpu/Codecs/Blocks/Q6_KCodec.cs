using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 210 bytes: 128 bytes with the low four bits of the quants, 64 with their high two bits, 16 signed block
/// scales of 16 values each, an F16 scale. Each half of the block has 64 bytes of low bits (the low halves are the first 64
/// values, the high halves the last) and 32 bytes of high bits (two for each 32 values). A value is
/// scale * block scale * (quant - 32).
/// </summary>
public readonly struct Q6_KUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 210;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 208));
        var scales = reader.ReadUInt16(blockOffset + 192 + (unit * 2));
        var lowerScale = BlockArithmetic.Multiply(scale, (scales << 24) >> 24);
        var upperScale = BlockArithmetic.Multiply(scale, (scales << 16) >> 24);
        var lowBits = blockOffset + ((unit >> 2) * 64) + ((unit & 1) * 32);
        var lowShift = (unit & 2) * 2;
        var highBits = blockOffset + 128 + ((unit >> 2) * 32);
        var highShift = (unit & 3) * 2;
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var low = (reader.ReadInt32(lowBits + index) >> lowShift) & 0x0F0F_0F0F;
            var high = (reader.ReadInt32(highBits + index) >> highShift) & 0x0303_0303;
            var quants = FourQuants.Subtract(low | (high << 4), 0x2020_2020);
            FourQuants.Write(sink, firstIndex + index, index < Unit.Length / 2 ? lowerScale : upperScale, quants);
        }
    }
}

/// <summary>Q6_K in vectors.</summary>
internal readonly unsafe struct Q6_KVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block + 208)));
        var scales = BlockScales.Multiply(scale, Vector128.Load((sbyte*)block + 192));
        var each = (float*)&scales;
        var lowBits = block;
        var highBits = block + 128;
        var low = Vector256.Create((byte)0x0F);
        var high = Vector256.Create((byte)0x30);
        for (var unit = 0; unit < 8; unit += 4, lowBits += 64, highBits += 32, each += 8)
        {
            var first = Vector256.Load(lowBits);
            var second = Vector256.Load(lowBits + 32);

            // Shifted as words: what crosses from byte to byte is masked.
            var upper = Vector256.Load((ushort*)highBits);
            Write(output, unit, (first & low) | ((upper << 4).AsByte() & high), each);
            Write(output, unit + 1, (second & low) | ((upper << 2).AsByte() & high), each + 2);
            Write(output, unit + 2, (first >>> 4) | (upper.AsByte() & high), each + 4);
            Write(output, unit + 3, (second >>> 4) | ((upper >>> 2).AsByte() & high), each + 6);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TOutput>(TOutput output, int unit, Vector256<byte> quants, float* scales)
        where TOutput : struct, IQuantOutput =>
        output.Write(unit, (quants - Vector256.Create((byte)32)).AsSByte(), scales[0], scales[1]);
}
