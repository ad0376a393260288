using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>The views of a matrix and its companions in a kernel; those that are not there are the matrix again.</summary>
internal readonly record struct SchemeViews(ArrayView<byte> Payload, ArrayView<byte> Scales, ArrayView<byte> Zeros, ArrayView<byte> Groups);

/// <summary>A kernel of <see cref="SchemeKernels"/> for one stored type, target and reader, compiled when it is first launched. Launching is the stream's to order.</summary>
internal abstract class SchemeKernel
{
    /// <summary>The kernel's method, for a look at what it compiles to.</summary>
    public abstract MethodInfo Method { get; }

    /// <summary>What the destination begins on a multiple of: the bytes of one store.</summary>
    public abstract int Alignment { get; }

    /// <summary>The kernel for scaled blocks.</summary>
    /// <param name="accelerator">Where it runs.</param>
    /// <param name="stored">One of <see cref="BlockScaledScheme.Stored"/>.</param>
    /// <param name="target">One of <see cref="BlockScaledScheme.Targets"/>.</param>
    /// <param name="inWords">Whether every read is of a multiple of its size.</param>
    public static SchemeKernel OfBlocks(Accelerator accelerator, DType stored, DType target, bool inWords) =>
        inWords ? OfBlocks<WordReader>(accelerator, stored, target) : OfBlocks<FunnelReader>(accelerator, stored, target);

    /// <summary>The kernel for GPTQ.</summary>
    /// <inheritdoc cref="OfBlocks(Accelerator, DType, DType, bool)"/>
    /// <param name="accelerator">Where it runs.</param>
    /// <param name="target">One of <see cref="GptqScheme.Targets"/>.</param>
    /// <param name="inWords">Whether every read is of a multiple of its size.</param>
    public static SchemeKernel OfGptq(Accelerator accelerator, DType target, bool inWords) =>
        inWords ? OfGptq<WordReader>(accelerator, target) : OfGptq<FunnelReader>(accelerator, target);

    /// <summary>Runs the kernel.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="views">What is read.</param>
    /// <param name="destination">Room for the rows.</param>
    /// <param name="body">The body: <see cref="BlockScaledBody"/> or <see cref="GptqBody"/>.</param>
    /// <param name="launch">What is done.</param>
    /// <typeparam name="TBody">The body that the kernel is of.</typeparam>
    public abstract void Launch<TBody>(AcceleratorStream stream, in SchemeViews views, ArrayView<byte> destination, in TBody body, in SchemeLaunch launch)
        where TBody : struct;

    private static SchemeKernel OfGptq<TReader>(Accelerator accelerator, DType target)
        where TReader : struct, IViewReader<TReader> => target switch
        {
            DType.F32 => new GptqKernel<TReader, FourWords, int, F32Packer>(accelerator),
            DType.F16 => new GptqKernel<TReader, TwoWords, short, HalfPacker<F16Target>>(accelerator),
            _ => new GptqKernel<TReader, TwoWords, short, HalfPacker<BF16Target>>(accelerator),
        };

    private static SchemeKernel OfBlocks<TReader>(Accelerator accelerator, DType stored, DType target)
        where TReader : struct, IViewReader<TReader> => stored switch
        {
            DType.F8_E4M3 => OfBlocks<TReader, Float8Element<F8E4M3>>(accelerator, target),
            DType.F8_E5M2 => OfBlocks<TReader, Float8Element<F8E5M2>>(accelerator, target),
            DType.F8_E4M3FNUZ => OfBlocks<TReader, Float8Element<F8E4M3FNUZ>>(accelerator, target),
            DType.F8_E5M2FNUZ => OfBlocks<TReader, Float8Element<F8E5M2FNUZ>>(accelerator, target),
            DType.I8 => OfBlocks<TReader, I8Element>(accelerator, target),
            DType.BF16 => OfBlocks<TReader, BF16Element>(accelerator, target),
            DType.F16 => OfBlocks<TReader, F16Element>(accelerator, target),
            _ => OfBlocks<TReader, F32Element>(accelerator, target),
        };

    private static SchemeKernel OfBlocks<TReader, TElement>(Accelerator accelerator, DType target)
        where TReader : struct, IViewReader<TReader>
        where TElement : struct, IElementDecoder => target switch
        {
            DType.F32 => new BlocksKernel<TElement, TReader, FourWords, int, F32Packer>(accelerator),
            DType.F16 => new BlocksKernel<TElement, TReader, TwoWords, short, HalfPacker<F16Target>>(accelerator),
            DType.BF16 => new BlocksKernel<TElement, TReader, TwoWords, short, HalfPacker<BF16Target>>(accelerator),
            _ => new BlocksKernel<TElement, TReader, int, byte, Float8Packer<F8E4M3>>(accelerator),
        };

    private sealed class BlocksKernel<TElement, TReader, TPacket, TTarget, TPacker>(Accelerator accelerator) : SchemeKernel
        where TElement : struct, IElementDecoder
        where TReader : struct, IViewReader<TReader>
        where TPacket : unmanaged
        where TTarget : unmanaged
        where TPacker : struct, IPacker<TPacket, TTarget>
    {
        private static readonly Action<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, BlockScaledBody, SchemeLaunch> Kernel =
            SchemeKernels.Blocks<TElement, TReader, TPacket, TTarget, TPacker>;

        private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, BlockScaledBody, SchemeLaunch>> _launch =
            new(() => accelerator.LoadKernel(Kernel), LazyThreadSafetyMode.PublicationOnly);

        public override MethodInfo Method => Kernel.Method;

        public override int Alignment => Unsafe.SizeOf<TPacket>();

        public override void Launch<TBody>(AcceleratorStream stream, in SchemeViews views, ArrayView<byte> destination, in TBody body, in SchemeLaunch launch) =>
            _launch.Value(
                stream, Threads.Config(accelerator, launch.Threads), views.Payload, views.Scales, views.Zeros, destination, (BlockScaledBody)(object)body, launch);
    }

    private sealed class GptqKernel<TReader, TPacket, TTarget, TPacker>(Accelerator accelerator) : SchemeKernel
        where TReader : struct, IViewReader<TReader>
        where TPacket : unmanaged
        where TTarget : unmanaged
        where TPacker : struct, IPacker<TPacket, TTarget>
    {
        private static readonly Action<ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, GptqBody, SchemeLaunch> Kernel =
            SchemeKernels.Gptq<TReader, TPacket, TTarget, TPacker>;

        private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, ArrayView<byte>, GptqBody, SchemeLaunch>> _launch =
            new(() => accelerator.LoadKernel(Kernel), LazyThreadSafetyMode.PublicationOnly);

        public override MethodInfo Method => Kernel.Method;

        public override int Alignment => Unsafe.SizeOf<TPacket>();

        public override void Launch<TBody>(AcceleratorStream stream, in SchemeViews views, ArrayView<byte> destination, in TBody body, in SchemeLaunch launch) =>
            _launch.Value(
                stream,
                Threads.Config(accelerator, launch.Threads),
                views.Payload,
                views.Scales,
                views.Zeros,
                views.Groups,
                destination,
                (GptqBody)(object)body,
                launch);
    }
}
