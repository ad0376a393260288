using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 82 bytes: an F16 scale; for each eight values a byte of grid entry, then for each eight a byte of signs; for
/// each 32 values a byte with two more bits of each of their four entries, then for each 32 a byte with the block scales of
/// the first 16 (low four bits) and the last 16. A value is scale * (block scale + 1/2) / 4 * the grid's value with its sign.
/// </summary>
public readonly struct IQ2_SUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 82;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    static ReadOnlySpan<byte> IUnitDecoder.Table => IQ2_SGrid.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var eighth = BlockArithmetic.DivideByPowerOfTwo(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), 3);
        var numbers = reader.ReadByte(blockOffset + 74 + unit);
        var lowerScale = BlockArithmetic.Multiply(eighth, ((numbers & 0xF) * 2) + 1);
        var upperScale = BlockArithmetic.Multiply(eighth, ((numbers >> 4) * 2) + 1);
        var lowBits = reader.ReadInt32(blockOffset + 2 + (unit * 4));
        var signs = reader.ReadInt32(blockOffset + 34 + (unit * 4));
        var highBits = reader.ReadByte(blockOffset + 66 + unit);
        for (var group = 0; group < 4; group++)
        {
            var entry = ((lowBits >> (group * 8)) & 0xFF) | (((highBits >> (group * 2)) & 3) << 8);
            var scale = group < 2 ? lowerScale : upperScale;
            GridQuants.WriteEight(sink, firstIndex + (group * 8), scale, table, entry, signs >> (group * 8));
        }
    }
}

/// <summary>IQ2_S in vectors.</summary>
internal readonly unsafe struct IQ2_SVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var half = FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block));
        var eighth = BitConverter.Int32BitsToSingle(BlockArithmetic.DivideByPowerOfTwo(half, 3));
        var numbers = BlockScales.Nibbles(Unsafe.ReadUnaligned<ulong>(block + 74));
        var scales = BlockScales.Multiply(eighth, ((numbers + numbers) | Vector128<byte>.One).AsSByte());
        var each = (float*)&scales;
        var grid = IQ2_SGrid.Start;
        for (var unit = 0; unit < 8; unit++, each += 2)
        {
            var low = block + 2 + (unit * 4);
            uint high = block[66 + unit];
            var quants = GridQuants.Load(
                grid,
                low[0] | ((high << 8) & 0x300),
                low[1] | ((high << 6) & 0x300),
                low[2] | ((high << 4) & 0x300),
                low[3] | ((high << 2) & 0x300));
            output.Write(unit, QuantSigns.Apply(quants, Unsafe.ReadUnaligned<int>(low + 32)), each[0], each[1]);
        }
    }
}
