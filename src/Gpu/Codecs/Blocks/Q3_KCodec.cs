using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 110 bytes: 32 bytes whose bit i is the high bit of the quants of values 32 * i to 32 * i + 31, 32 bytes of
/// low bits for each half (two for each 32 values), 16 block scales of six bits in twelve bytes, an F16 scale. The low four
/// bits of the block scales are the low, then the high halves of bytes 0 to 7; bytes 8 to 11 have two high bits of every
/// fourth each. A value is scale * (block scale - 32) * (quant - 4).
/// </summary>
public readonly struct Q3_KUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 110;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 108));

        // Two neighbouring scales at once: their bytes are neighbours too.
        var lowScales = (reader.ReadUInt16(blockOffset + 96 + ((unit & 3) * 2)) >> (unit & 4)) & 0x0F0F;
        var highScales = (reader.ReadUInt16(blockOffset + 104 + ((unit & 1) * 2)) >> (unit & 6)) & 0x0303;
        var scales = lowScales | (highScales << 4);
        var lowerScale = BlockArithmetic.Multiply(scale, (scales & 0xFF) - 32);
        var upperScale = BlockArithmetic.Multiply(scale, (scales >> 8) - 32);
        var lowBits = blockOffset + 32 + ((unit >> 2) * Unit.Length);
        var shift = (unit & 3) * 2;
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var low = (reader.ReadInt32(lowBits + index) >> shift) & 0x0303_0303;
            var high = (reader.ReadInt32(blockOffset + index) >> unit) & 0x0101_0101;
            var quants = FourQuants.Subtract(low | (high << 2), 0x0404_0404);
            FourQuants.Write(sink, firstIndex + index, index < Unit.Length / 2 ? lowerScale : upperScale, quants);
        }
    }
}

/// <summary>Q3_K in vectors.</summary>
internal readonly unsafe struct Q3_KVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block + 108)));
        var scales = BlockScales.Multiply(scale, Numbers(block + 96));
        var each = (float*)&scales;
        var lowBits = block + 32;
        var highBit = Vector256.Create((byte)4);

        // Shifted as words: what crosses from byte to byte is masked.
        var highBits = Vector256.Load((ushort*)block);
        for (var unit = 0; unit < 8; unit += 4, lowBits += Unit.Length, highBits >>>= 4, each += 8)
        {
            var packed = Vector256.Load((ushort*)lowBits);
            Write(output, unit, packed, (highBits << 2).AsByte() & highBit, each);
            Write(output, unit + 1, packed >>> 2, (highBits << 1).AsByte() & highBit, each + 2);
            Write(output, unit + 2, packed >>> 4, highBits.AsByte() & highBit, each + 4);
            Write(output, unit + 3, packed >>> 6, (highBits >>> 1).AsByte() & highBit, each + 6);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<TOutput>(TOutput output, int unit, Vector256<ushort> low, Vector256<byte> high, float* scales)
        where TOutput : struct, IQuantOutput
    {
        var quants = ((low.AsByte() & Vector256.Create((byte)3)) | high) - Vector256.Create((byte)4);
        output.Write(unit, quants.AsSByte(), scales[0], scales[1]);
    }

    /// <summary>The sixteen block scales, less 32.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<sbyte> Numbers(byte* stored)
    {
        const ulong LowBits = 0x0F0F_0F0F_0F0F_0F0F;
        const ulong HighBits = 0x3030_3030_3030_3030;
        var low = Unsafe.ReadUnaligned<ulong>(stored);
        ulong high = Unsafe.ReadUnaligned<uint>(stored + 8);

        // Bits 0 and 1 belong to the scales 0 to 3, bits 2 and 3 to 4 to 7, and so on; each to be at bit 4.
        var first = (low & LowBits) | (((high << 4) | (high << 34)) & HighBits);
        var second = ((low >> 4) & LowBits) | ((high | (high << 30)) & HighBits);
        return (Vector128.Create(first, second).AsByte() - Vector128.Create((byte)32)).AsSByte();
    }
}
