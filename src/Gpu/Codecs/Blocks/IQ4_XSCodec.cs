using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 136 bytes: an F16 scale, eight block scales of six bits (two bytes with the high two bits, four bytes with
/// the low four), then 16 bytes for each 32 values, whose low four bits are the first 16 quants and whose high four bits the
/// last. A value is scale * (block scale - 32) * the quant's value (see <see cref="IQ4Values"/>).
/// </summary>
public readonly struct IQ4_XSUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 136;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var low = (reader.ReadInt32(blockOffset + 4) >> (unit * 4)) & 0xF;
        var high = (reader.ReadUInt16(blockOffset + 2) >> (unit * 2)) & 3;
        var scale = BlockArithmetic.Multiply(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), low + (high * 16) - 32);
        var quants = blockOffset + 8 + (unit * Unit.Length / 2);
        for (var index = 0; index < Unit.Length / 2; index += 4)
        {
            var four = reader.ReadInt32(quants + index);
            FourQuants.Write(sink, firstIndex + index, scale, IQ4Values.LookUp(four));
            FourQuants.Write(sink, firstIndex + index + (Unit.Length / 2), scale, IQ4Values.LookUp(four >> 4));
        }
    }
}

/// <summary>IQ4_XS in vectors.</summary>
internal readonly unsafe struct IQ4_XSVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        // A multiplication shifts each lane's bits to the top by its own distance; every processor has it.
        var low = Vector256.Create(Unsafe.ReadUnaligned<uint>(block + 4))
            * Vector256.Create(1u << 28, 1u << 24, 1u << 20, 1u << 16, 1u << 12, 1u << 8, 1u << 4, 1u);
        var high = Vector256.Create((uint)Unsafe.ReadUnaligned<ushort>(block + 2))
            * Vector256.Create(1u << 30, 1u << 28, 1u << 26, 1u << 24, 1u << 22, 1u << 20, 1u << 18, 1u << 16);
        var numbers = ((low >>> 28) | ((high >>> 30) << 4)).AsInt32() - Vector256.Create(32);
        var scale = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block)));
        var scales = BlockScales.Multiply(scale, numbers);
        var each = (float*)&scales;
        var quants = block + 8;
        for (var unit = 0; unit < 8; unit++, quants += Unit.Length / 2)
        {
            output.Write(unit, IQ4Values.LookUp(Nibbles.Load(quants)), each[unit], each[unit]);
        }
    }
}
