using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary><see cref="UniformKernels.Fill"/> for one dtype, compiled when it is first launched. Launching is the stream's to order.</summary>
internal abstract class UniformKernel
{
    /// <summary>The kernel's method, for a look at what it compiles to.</summary>
    public abstract MethodInfo Method { get; }

    /// <summary>What the destination begins on a multiple of: the bytes of one store.</summary>
    public abstract int Alignment { get; }

    /// <summary>The kernel for a dtype.</summary>
    /// <exception cref="ArgumentException">The dtype is not one that values are made in.</exception>
    public static UniformKernel Of(Accelerator accelerator, DType dtype) => dtype switch
    {
        DType.F32 => new UniformKernel<FourWords, int, F32Packer>(accelerator),
        DType.F16 => new UniformKernel<TwoWords, short, HalfPacker<F16Target>>(accelerator),
        DType.BF16 => new UniformKernel<TwoWords, short, HalfPacker<BF16Target>>(accelerator),
        DType.F64 => new UniformKernel<FourLongs, long, F64Packer>(accelerator),
        DType.F8_E4M3 => new UniformKernel<int, byte, Float8Packer<F8E4M3>>(accelerator),
        DType.F8_E5M2 => new UniformKernel<int, byte, Float8Packer<F8E5M2>>(accelerator),
        DType.F8_E4M3FNUZ => new UniformKernel<int, byte, Float8Packer<F8E4M3FNUZ>>(accelerator),
        DType.F8_E5M2FNUZ => new UniformKernel<int, byte, Float8Packer<F8E5M2FNUZ>>(accelerator),
        _ => throw new ArgumentException($"{dtype.Name} is not a type that values are made in.", nameof(dtype)),
    };

    /// <summary>Fills elements.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="destination">Exactly their room.</param>
    /// <param name="count">How many.</param>
    /// <param name="values">What is written.</param>
    public abstract void Launch(AcceleratorStream stream, ArrayView<byte> destination, long count, in UniformValues values);
}

/// <inheritdoc/>
internal sealed class UniformKernel<TPacket, TElement, TPacker>(Accelerator accelerator) : UniformKernel
    where TPacket : unmanaged
    where TElement : unmanaged
    where TPacker : struct, IPacker<TPacket, TElement>
{
    private static readonly Action<ArrayView<byte>, long, long, UniformValues> Kernel =
        UniformKernels.Fill<TPacket, TElement, TPacker>;

    private readonly Lazy<Action<AcceleratorStream, KernelConfig, ArrayView<byte>, long, long, UniformValues>> _launch =
        new(() => accelerator.LoadKernel(Kernel), LazyThreadSafetyMode.PublicationOnly);

    public override MethodInfo Method => Kernel.Method;

    public override int Alignment => Unsafe.SizeOf<TPacket>();

    public override void Launch(AcceleratorStream stream, ArrayView<byte> destination, long count, in UniformValues values)
    {
        var packets = (count + 3) / 4;
        for (long first = 0; first < packets; first += Threads.MostOfLaunch)
        {
            var threads = (int)Math.Min(Threads.MostOfLaunch, packets - first);
            _launch.Value(stream, Threads.Config(stream.Accelerator, threads), destination, first, count, values);
        }
    }
}
