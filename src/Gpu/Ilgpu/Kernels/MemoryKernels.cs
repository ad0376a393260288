using System.Reflection;
using ILGPU;
using ILGPU.Runtime;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// The kernels that move and make elements without decoding any, of one accelerator; each is compiled when it is first launched. Safe for
/// any thread, but for launches, which the stream orders.
/// </summary>
internal sealed class MemoryKernels
{
    private static readonly Action<ArrayView<Word16>, int, long, int> SwapWideKernel = SwapKernels.SwapWide;
    private static readonly Action<ArrayView<byte>, int, long, int> SwapNarrowKernel = SwapKernels.SwapNarrow;

    // Lazily, and tried again after a failure: a driver that was out of memory may not be the next time.
    private readonly WordKernels[] _words;
    private readonly Dictionary<DType, UniformKernel> _uniform;
    private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<Word16>, int, long, int>> _swapWide;
    private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<byte>, int, long, int>> _swapNarrow;

    public MemoryKernels(Accelerator accelerator)
    {
        _words = [.. Enumerable.Range(0, 5).Select(i => WordKernels.Of(accelerator, 1 << i))];
        _uniform = Codecs.Targets.ToDictionary(dtype => dtype, dtype => UniformKernel.Of(accelerator, dtype));
        _swapWide = new(() => accelerator.LoadKernel(SwapWideKernel), LazyThreadSafetyMode.PublicationOnly);
        _swapNarrow = new(() => accelerator.LoadKernel(SwapNarrowKernel), LazyThreadSafetyMode.PublicationOnly);
    }

    /// <summary>All kernels' methods, for a look at what they compile to.</summary>
    public IEnumerable<MethodInfo> Methods =>
    [
        .. _words.SelectMany(words => words.Methods), .. Codecs.Targets.Select(dtype => _uniform[dtype].Method),
        SwapWideKernel.Method, SwapNarrowKernel.Method,
    ];

    /// <summary>Copies and fills in words of a size.</summary>
    /// <param name="wordBytes">1, 2, 4, 8 or 16.</param>
    public WordKernels Words(int wordBytes) => _words[int.Log2(wordBytes)];

    /// <summary>Random values of a dtype.</summary>
    /// <param name="dtype">One of <see cref="Codecs.Targets"/>.</param>
    public UniformKernel Uniform(DType dtype) => _uniform[dtype];

    /// <summary>Reverses the bytes of words.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="memory">All of the memory.</param>
    /// <param name="offset">Where the first word is.</param>
    /// <param name="count">How many, at least one.</param>
    /// <param name="size">The bytes of each: 2, 4 or 8.</param>
    public void Swap(AcceleratorStream stream, ArrayView<byte> memory, long offset, long count, int size)
    {
        // Up to the next 16 bytes, where those begin on a word, and after the last.
        var head = offset % size == 0 ? Math.Min(count, (16 - (offset % 16)) % 16 / size) : count;
        var wide = (count - head) * size / 16;
        var tail = count - head - (wide * (16 / size));
        SwapNarrow(stream, memory, offset, head, size);
        for (long first = 0; first < wide; first += Threads.MostOfLaunch)
        {
            var threads = (int)Math.Min(Threads.MostOfLaunch, wide - first);
            _swapWide.Value(stream, Threads.Config(stream.Accelerator, threads), memory.Cast<Word16>(), threads, ((offset + (head * size)) / 16) + first, size);
        }

        SwapNarrow(stream, memory, offset + ((count - tail) * size), tail, size);
    }

    private void SwapNarrow(AcceleratorStream stream, ArrayView<byte> memory, long offset, long count, int size)
    {
        for (long first = 0; first < count; first += Threads.MostOfLaunch)
        {
            var threads = (int)Math.Min(Threads.MostOfLaunch, count - first);
            _swapNarrow.Value(stream, Threads.Config(stream.Accelerator, threads), memory, threads, offset + (first * size), size);
        }
    }
}
