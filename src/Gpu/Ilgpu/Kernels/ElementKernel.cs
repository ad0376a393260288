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
    private static readonly Action<ArrayView<byte>, long, ArrayView<byte>, long, long> Kernel =
        DecodeKernels.Elements<TDecoder, TReader, TPacket, TElement, TPacker>;

    private Action<AcceleratorStream, KernelConfig, ArrayView<byte>, long, ArrayView<byte>, long, long>? _launch;

    public override MethodInfo Method => Kernel.Method;

    public override int Alignment => Unsafe.SizeOf<TPacket>();

    public override void Load(IlgpuDevice device)
    {
        SetGroup(device);
        _launch = device.Accelerator.LoadKernel(Kernel);
    }

    public override void Launch(AcceleratorStream stream, ArrayView<byte> source, long start, ArrayView<byte> destination, long valueCount)
    {
        var granules = (valueCount + TDecoder.Granule - 1) / TDecoder.Granule;
        foreach (var (first, config) in Launches(granules))
        {
            _launch!(stream, config, source, start, destination, first, valueCount);
        }
    }
}
