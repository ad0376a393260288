using System.Reflection;
using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <summary><see cref="DecodeKernels.Blocks"/> of one type, loaded.</summary>
internal sealed class BlockKernel<TDecoder, TReader, TPacket, TElement, TPacker> : DecodeKernel
    where TDecoder : struct, IUnitDecoder
    where TReader : struct, IViewReader<TReader>
    where TPacket : unmanaged
    where TElement : unmanaged
    where TPacker : struct, IPacker<TPacket, TElement>
{
    private static readonly Action<ArrayView<byte>, long, ArrayView<byte>, ArrayView<byte>, long, long> Kernel =
        DecodeKernels.Blocks<TDecoder, TReader, TPacket, TElement, TPacker>;

    private Action<AcceleratorStream, KernelConfig, ArrayView<byte>, long, ArrayView<byte>, ArrayView<byte>, long, long>? _launch;
    private ArrayView<byte> _table;

    public override MethodInfo Method => Kernel.Method;

    public override int Alignment => Unsafe.SizeOf<TPacket>();

    public override void Load(IlgpuDevice device)
    {
        _table = device.TableOf(typeof(TDecoder), TDecoder.Table);
        SetGroup(device);
        _launch = device.Accelerator.LoadKernel(Kernel);
    }

    public override void Launch(AcceleratorStream stream, ArrayView<byte> source, long start, ArrayView<byte> destination, long valueCount)
    {
        var units = Unit.Count(valueCount);
        foreach (var (first, config) in Launches(units))
        {
            _launch!(stream, config, source, start, _table, destination, first, units);
        }
    }
}
