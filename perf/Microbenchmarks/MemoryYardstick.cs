using System.Runtime.Intrinsics;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>
/// What memory allows one thread: the loops of a conversion without the conversion. The bound of a conversion is the time to
/// read its input and to fill its output with streaming stores.
/// </summary>
internal static unsafe class MemoryYardstick
{
    /// <summary>Fills memory (64-byte aligned, a multiple of 256 bytes) with streaming stores.</summary>
    public static void FillStreaming(byte* destination, nint length)
    {
        var value = Vector256.Create((byte)0x3C);
        for (nint offset = 0; offset < length; offset += 256)
        {
            for (nint vector = 0; vector < 256; vector += 32)
            {
                value.StoreAlignedNonTemporal(destination + offset + vector);
            }
        }
    }

    /// <summary>Reads memory in order; the result only keeps the reads alive.</summary>
    public static ulong Read(byte* source, nint length)
    {
        var first = Vector256<ulong>.Zero;
        var second = Vector256<ulong>.Zero;
        var third = Vector256<ulong>.Zero;
        var fourth = Vector256<ulong>.Zero;
        for (nint offset = 0; offset < length; offset += 128)
        {
            first ^= Vector256.Load((ulong*)(source + offset));
            second ^= Vector256.Load((ulong*)(source + offset + 32));
            third ^= Vector256.Load((ulong*)(source + offset + 64));
            fourth ^= Vector256.Load((ulong*)(source + offset + 96));
        }

        return Vector256.Sum(first ^ second ^ third ^ fourth);
    }

    /// <summary>Reads and fills in one loop, in the proportion of a conversion: the two overlap as they do there.</summary>
    /// <param name="source">The input.</param>
    /// <param name="sourceStep">Bytes read a step; a multiple of 32.</param>
    /// <param name="destination">The output, 64-byte aligned.</param>
    /// <param name="destinationStep">Bytes filled a step; a multiple of 32.</param>
    /// <param name="steps">Steps.</param>
    public static ulong ReadAndFill(byte* source, nint sourceStep, byte* destination, nint destinationStep, nint steps)
    {
        var sum = Vector256<ulong>.Zero;
        for (nint step = 0; step < steps; step++)
        {
            for (nint vector = 0; vector < sourceStep; vector += 32)
            {
                sum ^= Vector256.Load((ulong*)(source + vector));
            }

            // What was read is what is stored, so that nothing is optimised away and every line waits for its input.
            for (nint vector = 0; vector < destinationStep; vector += 32)
            {
                sum.AsByte().StoreAlignedNonTemporal(destination + vector);
            }

            source += sourceStep;
            destination += destinationStep;
        }

        return Vector256.Sum(sum);
    }
}
