using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <content>The kernels that sum up.</content>
public sealed partial class IlgpuDevice
{
    private readonly Dictionary<DType, SummaryKernel> _summaryKernels = [];

    /// <inheritdoc/>
    public override void PrepareSummaries(IEnumerable<DType> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        ThrowIfDisposed();
        foreach (var dtype in values.Distinct().Order())
        {
            _ = SummaryKernelOf(dtype);
        }
    }

    /// <summary>The kernel that sums up F32 or F64; compiled on first use.</summary>
    internal SummaryKernel SummaryKernelOf(DType dtype)
    {
        lock (_kernelsLock)
        {
            ThrowIfDisposed();
            if (!_summaryKernels.TryGetValue(dtype, out var kernel))
            {
                kernel = SummaryKernel.Of(dtype);
                try
                {
                    kernel.Load(Accelerator);
                }
                catch (Exception exception) when (IlgpuErrors.IsOfDriver(exception) || IlgpuErrors.IsOfCompiler(exception))
                {
                    // Doubles are what a device may lack.
                    throw new DeviceFailureException(
                        Id,
                        $"its driver cannot compile the sums of {dtype.Name} values, which are doubles: {IlgpuErrors.Describe(exception)}; use --device host",
                        exception);
                }

                _summaryKernels.Add(dtype, kernel);
            }

            return kernel;
        }
    }
}
