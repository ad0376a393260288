using System.Reflection;
using ILGPU;
using ILGPU.Runtime;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A kernel that decodes one stored type into one target; loaded onto one accelerator. Launching is the stream's to order.</summary>
internal abstract class DecodeKernel
{
    private int _group;
    private long _mostThreads;

    /// <summary>The kernel's method, for a look at what it compiles to.</summary>
    public abstract MethodInfo Method { get; }

    /// <summary>What the destination begins on a multiple of: the bytes of one store.</summary>
    public abstract int Alignment { get; }

    /// <summary>Compiles the kernel for an accelerator and loads it.</summary>
    public abstract void Load(IlgpuDevice device);

    /// <summary>Launches it.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="source">The stored bytes, with the whole words that the first and the last lie in.</param>
    /// <param name="start">Where the first stored element or block begins in them.</param>
    /// <param name="destination">Room for the values.</param>
    /// <param name="valueCount">How many.</param>
    public abstract void Launch(AcceleratorStream stream, ArrayView<byte> source, long start, ArrayView<byte> destination, long valueCount);

    /// <summary>Notes how many threads of this device form a group, and how many a launch.</summary>
    protected void SetGroup(IlgpuDevice device)
    {
        _group = Math.Min(DecodeKernels.GroupSize, device.Accelerator.MaxNumThreadsPerGroup);
        _mostThreads = device.Limits.Groups * _group;
    }

    /// <summary>The launches that give each of some threads a number, mostly one.</summary>
    /// <param name="threads">How many threads have work.</param>
    /// <returns>The number of each launch's first thread, and its groups.</returns>
    protected IEnumerable<(long First, KernelConfig Config)> Launches(long threads)
    {
        for (long first = 0; first < threads; first += _mostThreads)
        {
            yield return (first, new KernelConfig((int)((Math.Min(_mostThreads, threads - first) + _group - 1) / _group), _group));
        }
    }

    /// <summary>The kernel that decodes a type; not loaded yet.</summary>
    /// <exception cref="ArgumentException">There is no such conversion.</exception>
    public static DecodeKernel Of(Codec codec, DType target, ReaderKind reader) => codec.Accept(new Choice(target, reader));

    /// <summary>The fastest reader for stored bytes that begin at an offset of their buffer.</summary>
    public static ReaderKind ReaderFor(Codec codec, long start) => codec.Accept(new Alignments(start));

    private sealed class Alignments(long start) : IUnitVisitor<ReaderKind>
    {
        public ReaderKind Visit<TDecoder>()
            where TDecoder : struct, IUnitDecoder
        {
            // The largest power of two that where it starts, and what a thread steps on by, are multiples of.
            var steps = start | (long)(TDecoder.BlockBytes / (Unit.Length / TDecoder.Granule));
            return (steps & 7) == 0 ? ReaderKind.Wide : (steps & 3) == 0 ? ReaderKind.Word : ReaderKind.Funnel;
        }
    }

    private sealed class Choice(DType target, ReaderKind reader) : IUnitVisitor<DecodeKernel>
    {
        public DecodeKernel Visit<TDecoder>()
            where TDecoder : struct, IUnitDecoder => target switch
            {
                DType.F32 => Over<TDecoder, FourWords, int, F32Packer>(),
                DType.F16 => Over<TDecoder, TwoWords, short, HalfPacker<F16Target>>(),
                DType.BF16 => Over<TDecoder, TwoWords, short, HalfPacker<BF16Target>>(),
                DType.F64 => Over<TDecoder, FourLongs, long, F64Packer>(),
                DType.F8_E4M3 => Over<TDecoder, int, byte, Float8Packer<F8E4M3>>(),
                DType.F8_E5M2 => Over<TDecoder, int, byte, Float8Packer<F8E5M2>>(),
                DType.F8_E4M3FNUZ => Over<TDecoder, int, byte, Float8Packer<F8E4M3FNUZ>>(),
                DType.F8_E5M2FNUZ => Over<TDecoder, int, byte, Float8Packer<F8E5M2FNUZ>>(),
                _ => throw new ArgumentException($"{target.Name} is not a type that values are decoded to.", nameof(target)),
            };

        private DecodeKernel Over<TDecoder, TPacket, TElement, TPacker>()
            where TDecoder : struct, IUnitDecoder
            where TPacket : unmanaged
            where TElement : unmanaged
            where TPacker : struct, IPacker<TPacket, TElement> => reader switch
            {
                ReaderKind.Wide => Over<TDecoder, WideReader, TPacket, TElement, TPacker>(),
                ReaderKind.Word => Over<TDecoder, WordReader, TPacket, TElement, TPacker>(),
                _ => Over<TDecoder, FunnelReader, TPacket, TElement, TPacker>(),
            };

        private static DecodeKernel Over<TDecoder, TReader, TPacket, TElement, TPacker>()
            where TDecoder : struct, IUnitDecoder
            where TReader : struct, IViewReader<TReader>
            where TPacket : unmanaged
            where TElement : unmanaged
            where TPacker : struct, IPacker<TPacket, TElement> => TDecoder.Granule < Unit.Length
                ? new ElementKernel<TDecoder, TReader, TPacket, TElement, TPacker>()
                : new BlockKernel<TDecoder, TReader, TPacket, TElement, TPacker>();
    }
}
