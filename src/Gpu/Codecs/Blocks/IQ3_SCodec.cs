using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 110 bytes: an F16 scale; for each four values a byte of grid entry; for each 32 values a byte with a ninth bit
/// of each of their eight entries; for each eight values a byte of signs; for each 64 values a byte with the block scales of
/// the first 32 (low four bits) and the last 32. A value is scale * (2 * block scale + 1) * the grid's value with its sign.
/// </summary>
public readonly struct IQ3_SUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 110;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    static ReadOnlySpan<byte> IUnitDecoder.Table => IQ3_SGrid.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var number = (reader.ReadByte(blockOffset + 106 + (unit >> 1)) >> ((unit & 1) * 4)) & 0xF;
        var scale = BlockArithmetic.Multiply(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), (number * 2) + 1);
        var ninthBits = reader.ReadByte(blockOffset + 66 + unit);
        var signs = reader.ReadInt32(blockOffset + 74 + (unit * 4));
        for (var group = 0; group < 8; group++)
        {
            var entry = reader.ReadByte(blockOffset + 2 + (unit * 8) + group) | (((ninthBits >> group) & 1) << 8);
            var quants = FourQuants.Negate(table.ReadInt32(entry * 4), signs >> (group * 4));
            FourQuants.Write(sink, firstIndex + (group * 4), scale, quants);
        }
    }
}

/// <summary>IQ3_S in vectors.</summary>
internal readonly unsafe struct IQ3_SVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        // A multiplication shifts each lane's bits to the top by its own distance; every processor has it.
        var numbers = ((Vector256.Create(Unsafe.ReadUnaligned<uint>(block + 106))
            * Vector256.Create(1u << 28, 1u << 24, 1u << 20, 1u << 16, 1u << 12, 1u << 8, 1u << 4, 1u)) >>> 28).AsInt32();
        var scale = BitConverter.Int32BitsToSingle(FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block)));
        var scales = BlockScales.Multiply(scale, (numbers + numbers) | Vector256<int>.One);
        var each = (float*)&scales;
        var grid = IQ3_SGrid.Start;
        for (var unit = 0; unit < 8; unit++)
        {
            var quants = GridQuants.Load(grid, block + 2 + (unit * 8), block[66 + unit]);
            var signs = Unsafe.ReadUnaligned<int>(block + 74 + (unit * 4));
            output.Write(unit, QuantSigns.Apply(quants, signs), each[unit], each[unit]);
        }
    }
}
