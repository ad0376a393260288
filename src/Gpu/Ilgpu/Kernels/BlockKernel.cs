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
    // Groups of a launch: CUDA's limit is 2^31 - 1, OpenCL drivers have counted all threads in 32 bits.
    private const long LargestGrid = 1L << 24;

    private static readonly Action<ArrayView<byte>, long, ArrayView<byte>, ArrayView<byte>, long, long> Kernel =
        DecodeKernels.Blocks<TDecoder, TReader, TPacket, TElement, TPacker>;

    private Action<AcceleratorStream, KernelConfig, ArrayView<byte>, long, ArrayView<byte>, ArrayView<byte>, long, long>? _launch;
    private ArrayView<byte> _table;
    private int _group;

    public override MethodInfo Method => Kernel.Method;

    public override bool IsExplicitlyGrouped => true;

    public override int Alignment => Unsafe.SizeOf<TPacket>();

    public override void Load(IlgpuDevice device)
    {
        _table = device.TableOf(typeof(TDecoder), TDecoder.Table);
        _group = Math.Min(DecodeKernels.GroupUnits, device.Accelerator.MaxNumThreadsPerGroup);
        _launch = device.Accelerator.LoadKernel(Kernel);
    }

    public override void Launch(AcceleratorStream stream, ArrayView<byte> source, long start, ArrayView<byte> destination, long valueCount)
    {
        var units = Unit.Count(valueCount);
        var largest = LargestGrid * _group;
        for (long first = 0; first < units; first += largest)
        {
            var groups = (int)((Math.Min(largest, units - first) + _group - 1) / _group);
            _launch!(stream, new KernelConfig(groups, _group), source, start, _table, destination, first, units);
        }
    }
}
