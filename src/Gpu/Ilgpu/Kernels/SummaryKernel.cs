using System.Reflection;
using ILGPU.Runtime;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>A kernel that sums up values of one type; loaded onto one accelerator. Launching is the stream's to order.</summary>
internal abstract class SummaryKernel
{
    /// <summary>The kernel's method, for a look at what it compiles to.</summary>
    public abstract MethodInfo Method { get; }

    /// <summary>Compiles the kernel for an accelerator and loads it.</summary>
    public abstract void Load(Accelerator accelerator);

    /// <summary>Launches it.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="values">The bytes of the values, aligned to one.</param>
    /// <param name="results">The bytes of <see cref="SummaryKernels.ResultLength"/> doubles a chunk.</param>
    /// <param name="chunks">How many chunks the values have.</param>
    public abstract void Launch(AcceleratorStream stream, ILGPU.ArrayView<byte> values, ILGPU.ArrayView<byte> results, int chunks);

    /// <summary>The kernel for F32 or F64; not loaded yet.</summary>
    public static SummaryKernel Of(DType dtype) => dtype == DType.F32
        ? new ChunkKernel<float, WidenSingle>()
        : new ChunkKernel<double, WidenDouble>();
}
