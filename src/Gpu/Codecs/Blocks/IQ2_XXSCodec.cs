using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 66 bytes: an F16 scale, then eight bytes for each 32 values: four numbers of grid entries of a byte each, and
/// 32 bits with seven signs for each entry (see <see cref="QuantSigns"/>) and, on top, four bits of block scale. A value is
/// scale * (block scale + 1/2) / 4 * the grid's value with its sign.
/// </summary>
public readonly struct IQ2_XXSUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 66;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    static ReadOnlySpan<byte> IUnitDecoder.Table => IQ2_XXSGrid.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var numbers = reader.ReadInt32(blockOffset + 2 + (unit * 8));
        var bits = reader.ReadInt32(blockOffset + 6 + (unit * 8));
        var eighth = BlockArithmetic.DivideByPowerOfTwo(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), 3);
        var scale = BlockArithmetic.Multiply(eighth, (((bits >> 28) & 0xF) * 2) + 1);
        var signs = QuantSigns.Complete(QuantSigns.Spread(bits));
        for (var group = 0; group < 32; group += 8)
        {
            GridQuants.WriteEight(sink, firstIndex + group, scale, table, (numbers >> group) & 0xFF, signs >> group);
        }
    }
}

/// <summary>IQ2_XXS in vectors.</summary>
internal readonly unsafe struct IQ2_XXSVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        // The top four bits of each eight bytes.
        var stored = (ulong*)(block + 2);
        var numbers = Vector256.Narrow(Vector256.Load(stored) >>> 60, Vector256.Load(stored + 4) >>> 60).AsInt32();
        var half = FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block));
        var eighth = BitConverter.Int32BitsToSingle(BlockArithmetic.DivideByPowerOfTwo(half, 3));
        var scales = BlockScales.Multiply(eighth, (numbers + numbers) | Vector256<int>.One);
        var each = (float*)&scales;
        var grid = IQ2_XXSGrid.Start;
        for (var unit = 0; unit < 8; unit++, stored++)
        {
            var entries = (byte*)stored;
            var quants = GridQuants.Load(grid, entries[0], entries[1], entries[2], entries[3]);
            var signs = QuantSigns.Complete(QuantSigns.Spread(Unsafe.ReadUnaligned<int>(entries + 4)));
            output.Write(unit, QuantSigns.Apply(quants, signs), each[unit], each[unit]);
        }
    }
}
