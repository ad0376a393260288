using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <summary><see cref="DecodeKernels.Elements"/> of one type, loaded.</summary>
internal sealed class ElementKernel<TDecoder, TReader, TPacket, TElement, TPacker> : DecodeKernel
    where TDecoder : struct, IUnitDecoder
    where TReader : struct, IViewReader<TReader>
    where TPacket : unmanaged
    where TElement : unmanaged
    where TPacker : struct, IPacker<TPacket, TElement>
{
    // ILGPU's index of an automatically grouped launch is an int.
    private const long LargestLaunch = 1L << 30;

    private static readonly Action<Index1D, ArrayView<byte>, long, ArrayView<byte>, long, long> Kernel =
        DecodeKernels.Elements<TDecoder, TReader, TPacket, TElement, TPacker>;

    private Action<AcceleratorStream, Index1D, ArrayView<byte>, long, ArrayView<byte>, long, long>? _launch;

    public override MethodInfo Method => Kernel.Method;

    public override bool IsExplicitlyGrouped => false;

    public override int Alignment => Unsafe.SizeOf<TPacket>();

    public override void Load(IlgpuDevice device) => _launch = device.Accelerator.LoadAutoGroupedKernel(Kernel);

    public override void Launch(AcceleratorStream stream, ArrayView<byte> source, long start, ArrayView<byte> destination, long valueCount)
    {
        var granules = (valueCount + TDecoder.Granule - 1) / TDecoder.Granule;
        for (long first = 0; first < granules; first += LargestLaunch)
        {
            _launch!(stream, (Index1D)(int)Math.Min(LargestLaunch, granules - first), source, start, destination, first, valueCount);
        }
    }
}
