using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace IlgpuLoader.Gpu;

/// <summary>What drivers report, in the words of <see cref="Device"/>.</summary>
internal static class IlgpuErrors
{
    /// <summary>Whether an exception says that memory is short. OpenCL drivers may say so as late as at the first use.</summary>
    public static bool IsOutOfMemory(Exception exception) => exception switch
    {
        OutOfMemoryException => true,
        CudaException cuda => cuda.Error == nameof(CudaError.CUDA_ERROR_OUT_OF_MEMORY),
        CLException openCl => openCl.Error is CLError.CL_INVALID_BUFFER_SIZE
            or CLError.CL_MEM_OBJECT_ALLOCATION_FAILURE
            or CLError.CL_OUT_OF_RESOURCES
            or CLError.CL_OUT_OF_HOST_MEMORY,
        _ => false,
    };

    /// <summary>Whether an exception is a driver's report.</summary>
    public static bool IsOfDriver(Exception exception) => exception is AcceleratorException;

    /// <summary>The exception that a caller gets for a driver's report.</summary>
    /// <param name="device">The device.</param>
    /// <param name="exception">What the driver reported.</param>
    /// <param name="work">What was asked of it, to follow "while".</param>
    public static Exception Explain(Device device, Exception exception, string work) => IsOutOfMemory(exception)
        ? new DeviceMemoryException(
            device.Id, 0, device.FreeMemory, $"Its driver ran out of memory while {work}: {Describe(exception)}. Load less, or onto another device.", exception)
        : new DeviceFailureException(device.Id, $"its driver failed while {work}: {Describe(exception)}", exception);

    /// <summary>What a driver reported, with its code: some messages are empty.</summary>
    public static string Describe(Exception exception) => exception switch
    {
        CudaException cuda => $"{cuda.Error} {cuda.Message}".TrimEnd(),
        CLException openCl => $"{openCl.Error} {openCl.Message}".TrimEnd(),
        _ => exception.Message,
    };
}
