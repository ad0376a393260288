using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 74 bytes: an F16 scale, two bytes for each eight values (nine bits of grid entry, seven signs, see
/// <see cref="QuantSigns"/>), then a byte for each 32 values with the block scales of the first 16 (low four bits) and the last
/// 16. A value is scale * (block scale + 1/2) / 4 * the grid's value with its sign.
/// </summary>
public readonly struct IQ2_XSUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 74;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    static ReadOnlySpan<byte> IUnitDecoder.Table => IQ2_XSGrid.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        var eighth = BlockArithmetic.DivideByPowerOfTwo(FloatBits.HalfToSingle(reader.ReadUInt16(blockOffset)), 3);
        var numbers = reader.ReadByte(blockOffset + 66 + unit);
        var lowerScale = BlockArithmetic.Multiply(eighth, ((numbers & 0xF) * 2) + 1);
        var upperScale = BlockArithmetic.Multiply(eighth, ((numbers >> 4) * 2) + 1);
        for (var group = 0; group < 4; group++)
        {
            var stored = reader.ReadUInt16(blockOffset + 2 + (unit * 8) + (group * 2));
            var scale = group < 2 ? lowerScale : upperScale;
            GridQuants.WriteEight(sink, firstIndex + (group * 8), scale, table, stored & 0x1FF, QuantSigns.Complete(stored >> 9));
        }
    }
}

/// <summary>IQ2_XS in vectors.</summary>
internal readonly unsafe struct IQ2_XSVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        var half = FloatBits.HalfToSingle(Unsafe.ReadUnaligned<ushort>(block));
        var eighth = BitConverter.Int32BitsToSingle(BlockArithmetic.DivideByPowerOfTwo(half, 3));
        var numbers = BlockScales.Nibbles(Unsafe.ReadUnaligned<ulong>(block + 66));
        var scales = BlockScales.Multiply(eighth, ((numbers + numbers) | Vector128<byte>.One).AsSByte());
        var each = (float*)&scales;
        var grid = IQ2_XSGrid.Start;
        var stored = (ushort*)(block + 2);
        for (var unit = 0; unit < 8; unit++, stored += 4, each += 2)
        {
            uint first = stored[0];
            uint second = stored[1];
            uint third = stored[2];
            uint fourth = stored[3];
            var quants = GridQuants.Load(grid, first & 0x1FF, second & 0x1FF, third & 0x1FF, fourth & 0x1FF);
            var sevens = (first >> 9) | (second >> 9 << 8) | (third >> 9 << 16) | (fourth >> 9 << 24);
            output.Write(unit, QuantSigns.Apply(quants, QuantSigns.Complete((int)sevens)), each[0], each[1]);
        }
    }
}
