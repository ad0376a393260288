using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace IlgpuLoader.Gpu;

/// <summary>Quants looked up in a grid.</summary>
internal static unsafe class GridQuants
{
    /// <summary>Stores scale * quant of eight quants, for unit bodies.</summary>
    /// <param name="sink">The output.</param>
    /// <param name="index">Where the first goes.</param>
    /// <param name="scale">The scale.</param>
    /// <param name="table">The grid.</param>
    /// <param name="entry">Which entry of eight values.</param>
    /// <param name="signs">Their signs; the low eight bits.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteEight<TTable, TSink>(TSink sink, long index, int scale, TTable table, int entry, int signs)
        where TTable : struct, IByteReader
        where TSink : struct, IValueSink
    {
        FourQuants.Write(sink, index, scale, FourQuants.Negate(table.ReadInt32(entry * 8), signs));
        FourQuants.Write(sink, index + 4, scale, FourQuants.Negate(table.ReadInt32((entry * 8) + 4), signs >> 4));
    }

    /// <summary>Stores scale * (quant + delta) of eight quants, for unit bodies.</summary>
    /// <param name="sink">The output.</param>
    /// <param name="index">Where the first goes.</param>
    /// <param name="scale">The scale.</param>
    /// <param name="table">The grid.</param>
    /// <param name="entry">Which entry of eight values.</param>
    /// <param name="delta">What is added to each, in all four bytes.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteEightPlus<TTable, TSink>(TSink sink, long index, int scale, TTable table, int entry, int delta)
        where TTable : struct, IByteReader
        where TSink : struct, IValueSink
    {
        FourQuants.Write(sink, index, scale, FourQuants.Add(table.ReadInt32(entry * 8), delta));
        FourQuants.Write(sink, index + 4, scale, FourQuants.Add(table.ReadInt32((entry * 8) + 4), delta));
    }

    /// <summary>Four entries of eight values.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Load(byte* grid, uint first, uint second, uint third, uint fourth)
    {
        var entries = (ulong*)grid;
        return Vector256.Create(entries[first], entries[second], entries[third], entries[fourth]).AsSByte();
    }

    /// <summary>Eight entries of four values, whose numbers have a byte each and a ninth bit.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<sbyte> Load(byte* grid, byte* numbers, uint ninthBits)
    {
        var entries = (uint*)grid;
        return Vector256.Create(
            entries[numbers[0] | ((ninthBits << 8) & 0x100)],
            entries[numbers[1] | ((ninthBits << 7) & 0x100)],
            entries[numbers[2] | ((ninthBits << 6) & 0x100)],
            entries[numbers[3] | ((ninthBits << 5) & 0x100)],
            entries[numbers[4] | ((ninthBits << 4) & 0x100)],
            entries[numbers[5] | ((ninthBits << 3) & 0x100)],
            entries[numbers[6] | ((ninthBits << 2) & 0x100)],
            entries[numbers[7] | ((ninthBits << 1) & 0x100)]).AsSByte();
    }
}
