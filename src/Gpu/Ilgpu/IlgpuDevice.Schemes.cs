using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>The kernels that dequantise with companions.</content>
public sealed partial class IlgpuDevice
{
    private readonly Dictionary<(DType? Stored, DType Target, bool InWords), SchemeKernel> _schemeKernels = [];

    /// <summary>The kernel for a scheme; compiled when it is first launched.</summary>
    /// <param name="stored">The stored type of scaled blocks; null for GPTQ.</param>
    /// <param name="target">The type of the values.</param>
    /// <param name="inWords">Whether every read is of a multiple of its size.</param>
    internal SchemeKernel SchemeKernelOf(DType? stored, DType target, bool inWords)
    {
        lock (_kernelsLock)
        {
            ThrowIfDisposed();
            if (!_schemeKernels.TryGetValue((stored, target, inWords), out var kernel))
            {
                kernel = stored is { } dtype ? SchemeKernel.OfBlocks(Accelerator, dtype, target, inWords) : SchemeKernel.OfGptq(Accelerator, target, inWords);
                _schemeKernels.Add((stored, target, inWords), kernel);
            }

            return kernel;
        }
    }
}
