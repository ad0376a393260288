using System.Reflection;
using ILGPU;
using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <summary><see cref="SummaryKernels.Summarise"/> of one type, loaded.</summary>
internal sealed class ChunkKernel<T, TWiden> : SummaryKernel
    where T : unmanaged
    where TWiden : struct, IWiden<T>
{
    private static readonly Action<ArrayView<T>, ArrayView<double>, long> Kernel = SummaryKernels.Summarise<T, TWiden>;

    private Action<AcceleratorStream, KernelConfig, ArrayView<T>, ArrayView<double>, long>? _launch;
    private int _group;

    public override MethodInfo Method => Kernel.Method;

    public override void Load(Accelerator accelerator)
    {
        _group = Math.Min(SummaryKernels.GroupSize, accelerator.MaxNumThreadsPerGroup);
        _launch = accelerator.LoadKernel(Kernel);
    }

    public override void Launch(AcceleratorStream stream, ArrayView<byte> values, ArrayView<byte> results, int chunks) =>
        _launch!(stream, new KernelConfig(chunks, _group), values.Cast<T>(), results.Cast<double>(), 0);
}
