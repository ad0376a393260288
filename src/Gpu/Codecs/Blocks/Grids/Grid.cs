using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Grids of the IQ types: entries of four or eight values from a few levels, fixed by ggml. They are kept packed and expanded
/// to a byte a value on first use, so that only who decodes such a type pays for it.
/// </summary>
internal static unsafe class Grid
{
    /// <summary>Expands a grid into an array that never moves: unit bodies and vector paths hold pointers to it.</summary>
    /// <param name="packed">The entries: numbers of levels, the first value's lowest.</param>
    /// <param name="valuesPerEntry">Eight values of two bits, or four of three.</param>
    /// <param name="levels">The value of each number.</param>
    public static byte[] Expand(ReadOnlySpan<ushort> packed, int valuesPerEntry, ReadOnlySpan<byte> levels)
    {
        var bits = valuesPerEntry == 8 ? 2 : 3;
        var values = GC.AllocateUninitializedArray<byte>(packed.Length * valuesPerEntry, pinned: true);
        for (var i = 0; i < values.Length; i++)
        {
            var number = (packed[i / valuesPerEntry] >> (i % valuesPerEntry * bits)) & ((1 << bits) - 1);
            values[i] = levels[number];
        }

        return values;
    }

    /// <summary>The address of a pinned array's first byte.</summary>
    public static byte* StartOf(byte[] values) => (byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(values));
}
