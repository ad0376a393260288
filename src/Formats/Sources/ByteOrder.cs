using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace IlgpuLoader.Formats;

/// <summary>Turns round the bytes of numbers. Safe for any thread.</summary>
public static class ByteOrder
{
    /// <summary>Reverses the bytes of every number.</summary>
    /// <param name="numbers">Whole numbers of one size, one after another.</param>
    /// <param name="size">The size of a number: 1, 2, 4 or 8 bytes.</param>
    /// <exception cref="ArgumentOutOfRangeException">It is another.</exception>
    public static void Swap(Span<byte> numbers, int size)
    {
        switch (size)
        {
            case 1:
                break;
            case 2:
                var shorts = MemoryMarshal.Cast<byte, ushort>(numbers);
                BinaryPrimitives.ReverseEndianness(shorts, shorts);
                break;
            case 4:
                var words = MemoryMarshal.Cast<byte, uint>(numbers);
                BinaryPrimitives.ReverseEndianness(words, words);
                break;
            case 8:
                var longs = MemoryMarshal.Cast<byte, ulong>(numbers);
                BinaryPrimitives.ReverseEndianness(longs, longs);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(size), size, "Numbers have 1, 2, 4 or 8 bytes.");
        }
    }
}
