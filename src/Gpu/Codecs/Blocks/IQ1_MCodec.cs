using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>
/// 256 values in 56 bytes: a byte of grid entry for each eight values; four bits for each eight, three more of the entry and, on
/// top, the sign of a delta of 1/8; then four words of 16 bits with three bits of block scale for each 16 values, and in the
/// top four bits of each word a quarter of the F16 scale, the lowest first. A value is
/// scale * (2 * block scale + 1) * (the grid's value + delta).
/// </summary>
public readonly struct IQ1_MUnit : IUnitDecoder
{
    static int IUnitDecoder.BlockBytes => 56;

    static int IUnitDecoder.UnitsPerBlockShift => 3;

    static ReadOnlySpan<byte> IUnitDecoder.Table => IQ1Grid.Bytes;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void IUnitDecoder.DecodeUnit<TReader, TTable, TSink>(
        TReader reader, TTable table, long blockOffset, int unit, int count, TSink sink, long firstIndex)
    {
        // An eighth of the scale, eight times the grid's value and the delta: whole numbers.
        var eighth = BlockArithmetic.DivideByPowerOfTwo(FloatBits.HalfToSingle(ScaleOf(reader.ReadInt64(blockOffset + 48))), 3);
        var numbers = reader.ReadUInt16(blockOffset + 48 + ((unit >> 1) * 2)) >> ((unit & 1) * 6);
        var lowerScale = BlockArithmetic.Multiply(eighth, ((numbers & 7) * 2) + 1);
        var upperScale = BlockArithmetic.Multiply(eighth, (((numbers >> 3) & 7) * 2) + 1);
        var lowBits = reader.ReadInt32(blockOffset + (unit * 4));
        var bits = reader.ReadUInt16(blockOffset + 32 + (unit * 2));
        for (var group = 0; group < 4; group++)
        {
            var high = bits >> (group * 4);
            var entry = ((lowBits >> (group * 8)) & 0xFF) | ((high & 7) << 8);
            var delta = (high & 8) == 0 ? 0x0101_0101 : -1;
            GridQuants.WriteEightPlus(sink, firstIndex + (group * 8), group < 2 ? lowerScale : upperScale, table, entry, delta);
        }
    }

    /// <summary>The bits of the F16 scale.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static int ScaleOf(long words) =>
        ((int)(words >> 12) & 0xF) | ((int)(words >> 24) & 0xF0) | ((int)(words >> 36) & 0xF00) | ((int)(words >> 48) & 0xF000);
}

/// <summary>IQ1_M in vectors.</summary>
internal readonly unsafe struct IQ1_MVectors : IBlockVectors
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Decode<TOutput>(byte* block, TOutput output)
        where TOutput : struct, IQuantOutput
    {
        // An eighth of the scale, eight times the grid's value and the delta: whole numbers.
        var words = Unsafe.ReadUnaligned<long>(block + 48);
        var half = FloatBits.HalfToSingle(IQ1_MUnit.ScaleOf(words));
        var eighth = BitConverter.Int32BitsToSingle(BlockArithmetic.DivideByPowerOfTwo(half, 3));
        var scales = BlockScales.Multiply(eighth, Numbers(words));
        var each = (float*)&scales;
        var grid = IQ1Grid.Start;
        for (var unit = 0; unit < 8; unit++, each += 2)
        {
            var low = block + (unit * 4);
            uint high = Unsafe.ReadUnaligned<ushort>(block + 32 + (unit * 2));
            var quants = GridQuants.Load(
                grid,
                low[0] | ((high << 8) & 0x700),
                low[1] | ((high << 4) & 0x700),
                low[2] | (high & 0x700),
                low[3] | ((high >> 4) & 0x700));
            var positive = Vector256.Equals(Vector256.Create((ulong)high) & Vector256.Create(0x8UL, 0x80, 0x800, 0x8000), Vector256<ulong>.Zero);
            output.Write(unit, quants + (~positive.AsSByte() | Vector256<sbyte>.One), each[0], each[1]);
        }
    }

    /// <summary>Twice each of the sixteen block scales, plus one.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector128<sbyte> Numbers(long words)
    {
        // Each word four times; a multiplication then shifts each lane's bits to the top by its own distance.
        var ofEach = Vector256.Shuffle(
            Vector256.Create(words).AsUInt16(), Vector256.Create((ushort)0, 0, 0, 0, 1, 1, 1, 1, 10, 10, 10, 10, 11, 11, 11, 11));
        var top = ofEach * Vector256.Create(0x0010_0080_0400_2000).AsUInt16();
        var twice = (top >>> 12) & Vector256.Create((ushort)14);
        return (Vector128.Narrow(twice.GetLower(), twice.GetUpper()) | Vector128<byte>.One).AsSByte();
    }
}
