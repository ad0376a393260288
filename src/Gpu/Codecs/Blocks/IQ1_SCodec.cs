using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 50 bytes: an F16 scale, a byte of grid entry for each eight values, then two bytes for each 32 values with
/// three more bits of each of their four entries, three bits of block scale and, on top, the sign of a delta of 1/8. A value is
/// scale * (2 * block scale + 1) * (the grid's value + delta).
/// </summary>
public readonly struct IQ1_SUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 50;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    static ReadOnlySpan<byte> IUnitDecoder.Table => IQ1Grid.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        // An eighth of the scale, eight times the grid's value and the delta: whole numbers.
        var bits = reader.ReadUInt16(blockOffset + 34 + (unit * 2));
        var eighth = BlockArithmetic.DivideByPowerOfTwo(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), 3);
        var scale = BlockArithmetic.Multiply(eighth, (((bits >> 12) & 7) * 2) + 1);
        var delta = (bits & 0x8000) == 0 ? 0x0101_0101 : -1;
        var lowBits = reader.ReadInt32(blockOffset + 2 + (unit * 4));
        for (var group = 0; group < 4; group++)
        {
            var entry = ((lowBits >> (group * 8)) & 0xFF) | (((bits >> (group * 3)) & 7) << 8);
            GridQuants.WriteEightPlus(sink, firstIndex + (group * 8), scale, table, entry, delta);
        }
    }
}

/// <summary>IQ1_S in vectors.</summary>
internal readonly unsafe struct IQ1_SVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        // An eighth of the scale, eight times the grid's value and the delta: whole numbers.
        var half = FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block));
        var eighth = BitConverter.Int32BitsToSingle(BlockArithmetic.DivideByPowerOfTwo(half, 3));
        var bits = (ushort*)(block + 34);
        var stored = Vector128.Load(bits);
        var numbers = (Vector256.Create(Vector128.WidenLower(stored), Vector128.WidenUpper(stored)) >>> 11).AsInt32() & Vector256.Create(14);
        var scales = BlockScales.Multiply(eighth, numbers | Vector256<int>.One);
        var each = (float*)&scales;
        var grid = IQ1Grid.Start;
        for (var unit = 0; unit < 8; unit++)
        {
            var low = block + 2 + (unit * 4);
            uint high = bits[unit];
            var quants = GridQuants.Load(
                grid,
                low[0] | ((high << 8) & 0x700),
                low[1] | ((high << 5) & 0x700),
                low[2] | ((high << 2) & 0x700),
                low[3] | ((high >> 1) & 0x700));
            var delta = Vector256.Create((sbyte)(((short)high >> 15) | 1));
            output.Write(unit, quants + delta, each[unit], each[unit]);
        }
    }
}
