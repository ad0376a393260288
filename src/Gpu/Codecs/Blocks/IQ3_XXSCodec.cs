using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 98 bytes: an F16 scale, a byte of grid entry for each four values, then 32 bits for each 32 values with seven
/// signs for each eight (see <see cref="QuantSigns"/>) and, on top, four bits of block scale. A value is
/// scale * (block scale + 1/2) / 2 * the grid's value with its sign.
/// </summary>
public readonly struct IQ3_XXSUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 98;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    static ReadOnlySpan<byte> IUnitDecoder.Table => IQ3_XXSGrid.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var bits = reader.ReadInt32(blockOffset + 66 + (unit * 4));
        var quarter = BlockArithmetic.DivideByPowerOfTwo(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), 2);
        var scale = BlockArithmetic.Multiply(quarter, (((bits >> 28) & 0xF) * 2) + 1);
        var signs = QuantSigns.Complete(QuantSigns.Spread(bits));
        for (var index = 0; index < Unit.Length; index += 4)
        {
            var entry = reader.ReadByte(blockOffset + 2 + (unit * 8) + (index >> 2));
            FourQuants.Write(sink, firstIndex + index, scale, FourQuants.Negate(table.ReadInt32(entry * 4), signs >> index));
        }
    }
}

/// <summary>IQ3_XXS in vectors.</summary>
internal readonly unsafe struct IQ3_XXSVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var half = FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block));
        var quarter = BitConverter.Int32BitsToSingle(BlockArithmetic.DivideByPowerOfTwo(half, 2));
        var bits = (int*)(block + 66);
        var numbers = Vector256.Load(bits) >>> 28;
        var scales = BlockScales.Multiply(quarter, (numbers + numbers) | Vector256<int>.One);
        var each = (float*)&scales;
        var grid = IQ3_XXSGrid.Start;
        for (var unit = 0; unit < 8; unit++)
        {
            var quants = GridQuants.Load(grid, block + 2 + (unit * 8), 0);
            var signs = QuantSigns.Complete(QuantSigns.Spread(bits[unit]));
            output.Write(unit, QuantSigns.Apply(quants, signs), each[unit], each[unit]);
        }
    }
}
