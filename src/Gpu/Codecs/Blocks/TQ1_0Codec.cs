using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 54 bytes, five ternary digits a byte: 32 bytes with the first 160 values, the first digit of each, then the
/// second of each and so on; 16 bytes with the next 80; four bytes with four digits each; and an F16 scale. A digit is the
/// highest of the three that byte * 3^n (mod 256) falls into, thirds of 256; a value is scale * (digit - 1).
/// </summary>
public readonly struct TQ1_0Unit : IUnitDecoder
{
    // The first values of the second and the third part.
    private const int SecondPart = 160;
    private const int ThirdPart = 240;

    // 3^n in byte n.
    private const long Powers = 0x51_1B_09_03_01;

    static int IUnitDecoder.BlockBytes => 54;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var scale = FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset + 52));
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var position = (unit * Unit.Length) + index;
            var offset = position < SecondPart ? position & 31 : 32 + (position & 15);
            var place = position < SecondPart ? unit : (position - SecondPart) >> 4;
            offset = position < ThirdPart ? offset : 48;
            place = position < ThirdPart ? place : (position - ThirdPart) >> 2;
            var power = (int)(Powers >> (place * 8)) & 0xFF;
            var four = reader.ReadInt32(blockOffset + offset);
            sink.WriteFour(
                firstIndex + index,
                BlockArithmetic.Multiply(scale, Digit(four, power) - 1),
                BlockArithmetic.Multiply(scale, Digit(four >> 8, power) - 1),
                BlockArithmetic.Multiply(scale, Digit(four >> 16, power) - 1),
                BlockArithmetic.Multiply(scale, Digit(four >> 24, power) - 1));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Digit(int stored, int power) => (((stored * power) & 0xFF) * 3) >> 8;
}

/// <summary>TQ1_0 in vectors.</summary>
internal readonly unsafe struct TQ1_0Vectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var scale = HalfScale.Load(block + 52);

        // With 128 taken away, a byte times three is still a byte times three, mod 256, and can be compared as signed.
        var first = Vector256.Load(block) ^ Vector256.Create((byte)0x80);
        output.Write(0, Quants(first), scale, scale);
        first = Triple(first);
        output.Write(1, Quants(first), scale, scale);
        first = Triple(first);
        output.Write(2, Quants(first), scale, scale);
        first = Triple(first);
        output.Write(3, Quants(first), scale, scale);
        first = Triple(first);
        output.Write(4, Quants(first), scale, scale);

        // Two digits at a time: each step is one of nine for both.
        var second = Vector128.Load(block + 32) ^ Vector128.Create((byte)0x80);
        var pair = Vector256.Create(second, Triple(second));
        output.Write(5, Quants(pair), scale, scale);
        pair = Triple(Triple(pair));
        output.Write(6, Quants(pair), scale, scale);

        var third = Vector128.Create(Unsafe.ReadUnaligned<int>(block + 48)).AsByte() ^ Vector128.Create((byte)0x80);
        third *= Vector128.Create(0x0101_0101, 0x0303_0303, 0x0909_0909, 0x1B1B_1B1B).AsByte();
        output.Write(7, Quants(Vector256.Create(Triple(Triple(pair)).GetLower(), third)), scale, scale);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<byte> Triple(Vector128<byte> bytes) => bytes + bytes + bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<byte> Triple(Vector256<byte> bytes) => bytes + bytes + bytes;

    // A comparison that holds is -1. A byte times three is 256 or more from 86 on and 512 or more from 171 on.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<sbyte> Quants(Vector256<byte> biased) =>
        Vector256.Create((sbyte)-1)
        - Vector256.GreaterThan(biased.AsSByte(), Vector256.Create((sbyte)(85 - 128)))
        - Vector256.GreaterThan(biased.AsSByte(), Vector256.Create((sbyte)(170 - 128)));
}
