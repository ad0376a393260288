using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// How Q4_K and Q5_K begin: the super-block's scale and scale of minima in F16, then eight block scales and eight minima of
/// six bits each in twelve bytes. The low six bits of bytes 0 to 3 are the first four scales, those of bytes 4 to 7 the
/// first four minima; the others have their low four bits in bytes 8 to 11 (scales in the low halves) and their high two bits
/// in what bytes 0 to 7 have left.
/// </summary>
internal static unsafe class SixBitScales
{
    /// <summary>Bytes of all this.</summary>
    public const int Size = 16;

    private const ulong SixBits = 0x3F3F_3F3F;
    private const ulong LowBits = 0x0F0F_0F0F;
    private const ulong HighBits = 0x3030_3030;

    /// <summary>The scale of one block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ReadScale<TReader>(TReader reader, long blockOffset, int unit)
        where TReader : struct, IByteReader
    {
        var whole = reader.ReadByte(blockOffset + 4 + (unit & 3));
        var low = reader.ReadByte(blockOffset + 12 + (unit & 3));
        var number = unit < 4 ? whole & 0x3F : (low & 0xF) | ((whole >> 2) & 0x30);
        return BlockArithmetic.Multiply(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), number);
    }

    /// <summary>What is taken from the values of one block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static int ReadMinimum<TReader>(TReader reader, long blockOffset, int unit)
        where TReader : struct, IByteReader
    {
        var whole = reader.ReadByte(blockOffset + 8 + (unit & 3));
        var low = reader.ReadByte(blockOffset + 12 + (unit & 3));
        var number = unit < 4 ? whole & 0x3F : (low >> 4) | ((whole >> 2) & 0x30);
        return BlockArithmetic.Multiply(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 2)), number);
    }

    /// <summary>The scales and minima of all blocks.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Read(byte* block, out Vector256<float> scales, out Vector256<float> minima)
    {
        ulong first = Unsafe.ReadUnaligned<uint>(block + 4);
        ulong second = Unsafe.ReadUnaligned<uint>(block + 8);
        ulong third = Unsafe.ReadUnaligned<uint>(block + 12);
        var scale = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block)));
        var minimum = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block + 2)));
        scales = BlockScales.Multiply(scale, (first & SixBits) | (((third & LowBits) | ((first >> 2) & HighBits)) << 32));
        minima = BlockScales.Multiply(minimum, (second & SixBits) | ((((third >> 4) & LowBits) | ((second >> 2) & HighBits)) << 32));
    }
}
