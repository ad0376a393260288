using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Byte order reversed in place.</summary>
internal static class SwapKernels
{
    /// <summary>Sixteen bytes a thread: whole words of 2, 4 or 8 bytes.</summary>
    public static void SwapWide(ArrayView<Word16> memory, int threads, long first, int size)
    {
        var thread = Threads.Index;
        if (thread >= threads)
        {
            return;
        }

        var index = first + thread;
        var word = memory[index];
        word.Low = Swap(word.Low, size);
        word.High = Swap(word.High, size);
        memory[index] = word;
    }

    /// <summary>A word a thread, byte by byte: of any alignment.</summary>
    public static void SwapNarrow(ArrayView<byte> memory, int threads, long first, int size)
    {
        var thread = Threads.Index;
        if (thread >= threads)
        {
            return;
        }

        var start = first + ((long)thread * size);
        for (var i = 0; i < size / 2; i++)
        {
            var (left, right) = (memory[start + i], memory[start + size - 1 - i]);
            memory[start + i] = right;
            memory[start + size - 1 - i] = left;
        }
    }

    // Bytes in pairs, then pairs in fours, then fours in eight.
    private static long Swap(long bytes, int size)
    {
        var word = (ulong)bytes;
        word = ((word >> 8) & 0x00FF_00FF_00FF_00FF) | ((word & 0x00FF_00FF_00FF_00FF) << 8);
        if (size > 2)
        {
            word = ((word >> 16) & 0x0000_FFFF_0000_FFFF) | ((word & 0x0000_FFFF_0000_FFFF) << 16);
        }

        if (size > 4)
        {
            word = (word >> 32) | (word << 32);
        }

        return (long)word;
    }
}
