using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <summary><see cref="StridedKernels"/> for one size of words, each compiled when it is first launched. Launching is the stream's to order.</summary>
internal abstract class WordKernels
{
    /// <summary>The kernels' methods, for a look at what they compile to.</summary>
    public abstract IEnumerable<MethodInfo> Methods { get; }

    /// <summary>The kernels for words of 1, 2, 4, 8 or 16 bytes.</summary>
    public static WordKernels Of(Accelerator accelerator, int wordBytes) => wordBytes switch
    {
        1 => new WordKernels<byte>(accelerator),
        2 => new WordKernels<short>(accelerator),
        4 => new WordKernels<int>(accelerator),
        8 => new WordKernels<long>(accelerator),
        _ => new WordKernels<Word16>(accelerator),
    };

    /// <summary>Copies words.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="source">All of the source's memory: whole words.</param>
    /// <param name="destination">All of the destination's memory.</param>
    /// <param name="threads">How many words.</param>
    /// <param name="loops">Which.</param>
    public abstract void Copy(AcceleratorStream stream, ArrayView<byte> source, ArrayView<byte> destination, int threads, in CopyLoops loops);

    /// <summary>Fills words with one value.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="destination">All of the destination's memory.</param>
    /// <param name="threads">How many words.</param>
    /// <param name="loops">Which.</param>
    /// <param name="word">The value: at least as many bytes as a word has.</param>
    public abstract void Fill(AcceleratorStream stream, ArrayView<byte> destination, int threads, in CopyLoops loops, ReadOnlySpan<byte> word);
}

/// <inheritdoc/>
/// <typeparam name="TWord">The word.</typeparam>
internal sealed class WordKernels<TWord>(Accelerator accelerator) : WordKernels
    where TWord : unmanaged
{
    private static readonly Action<ArrayView<TWord>, ArrayView<TWord>, int, CopyLoops> CopyKernel = StridedKernels.Copy;
    private static readonly Action<ArrayView<TWord>, int, CopyLoops, TWord> FillKernel = StridedKernels.Fill;

    private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<TWord>, ArrayView<TWord>, int, CopyLoops>> _copy =
        new(() => accelerator.LoadKernel(CopyKernel), LazyThreadSafetyMode.PublicationOnly);

    private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<TWord>, int, CopyLoops, TWord>> _fill =
        new(() => accelerator.LoadKernel(FillKernel), LazyThreadSafetyMode.PublicationOnly);

    public override IEnumerable<MethodInfo> Methods => [CopyKernel.Method, FillKernel.Method];

    public override void Copy(AcceleratorStream stream, ArrayView<byte> source, ArrayView<byte> destination, int threads, in CopyLoops loops) =>
        _copy.Value(stream, Threads.Config(accelerator, threads), source.Cast<TWord>(), destination.Cast<TWord>(), threads, loops);

    public override void Fill(AcceleratorStream stream, ArrayView<byte> destination, int threads, in CopyLoops loops, ReadOnlySpan<byte> word) =>
        _fill.Value(stream, Threads.Config(accelerator, threads), destination.Cast<TWord>(), threads, loops, MemoryMarshal.Read<TWord>(word));
}
