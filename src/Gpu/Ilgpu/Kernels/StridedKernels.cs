using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>Strided copies and fills: one thread a word.</summary>
internal static class StridedKernels
{
    /// <summary>Copies words between two places that the loops find.</summary>
    public static void Copy<TWord>(ArrayView<TWord> source, ArrayView<TWord> destination, int threads, CopyLoops loops)
        where TWord : unmanaged
    {
        var thread = Threads.Index;
        if (thread < threads)
        {
            var (from, to) = loops.Find(thread);
            destination[to] = source[from];
        }
    }

    /// <summary>Writes one word to the places that the loops find.</summary>
    public static void Fill<TWord>(ArrayView<TWord> destination, int threads, CopyLoops loops, TWord word)
        where TWord : unmanaged
    {
        var thread = Threads.Index;
        if (thread < threads)
        {
            destination[loops.Find(thread).Destination] = word;
        }
    }
}
