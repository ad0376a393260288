using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace IlgpuLoader.Gpu;

/// <summary>What drivers and ILGPU report, in the words of <see cref="Device"/>.</summary>
internal static class IlgpuErrors
{
    /// <summary>Whether an exception says that memory is short. OpenCL drivers may say so as late as at the first use.</summary>
    public static bool IsOutOfMemory(Exception exception) => exception switch
    {
        OutOfMemoryException => true,
        CudaException cuda => cuda.Error == nameof(CudaError.CUDA_ERROR_OUT_OF_MEMORY),
        CLException openCl => openCl.Error is CLError.CL_INVALID_BUFFER_SIZE
            or CLError.CL_MEM_OBJECT_ALLOCATION_FAILURE
            or CLError.CL_OUT_OF_HOST_MEMORY,
        _ => false,
    };

    /// <summary>Whether an exception with which an allocation ended says that memory is short.</summary>
    /// <remarks>CL_OUT_OF_RESOURCES says so here only: of a launch it also means too many registers, or a kernel that went astray.</remarks>
    public static bool IsRefusedAllocation(Exception exception) =>
        IsOutOfMemory(exception) || exception is CLException { Error: CLError.CL_OUT_OF_RESOURCES };

    /// <summary>Whether an exception is a driver's report.</summary>
    public static bool IsOfDriver(Exception exception) => exception is AcceleratorException;

    /// <summary>Whether an exception says that ILGPU cannot compile something for a device.</summary>
    public static bool IsOfCompiler(Exception exception) => exception is InternalCompilerException or CapabilityNotSupportedException;

    /// <summary>The exception that a caller gets for a driver's report.</summary>
    /// <param name="device">The device.</param>
    /// <param name="exception">What the driver or ILGPU reported.</param>
    /// <param name="work">What was asked of it, to follow "while".</param>
    public static Exception Explain(Device device, Exception exception, string work) => exception switch
    {
        _ when IsOutOfMemory(exception) => new DeviceMemoryException(
            device.Id, 0, FreeMemoryOf(device) ?? 0, $"Its driver ran out of memory while {work}: {Describe(exception)}. Load less, or onto another device.", exception),
        // Kernels are compiled when they are first launched.
        _ when IsOfCompiler(exception) => new DeviceFailureException(device.Id, $"ILGPU cannot compile a kernel for it: {Describe(exception)}", exception),
        _ => new DeviceFailureException(device.Id, $"its driver failed while {work}: {Describe(exception)}", exception),
    };

    /// <summary>What is free on a device, or null where its driver fails to say: no failure that is being reported is replaced by that one.</summary>
    public static long? FreeMemoryOf(Device device)
    {
        try
        {
            return device.FreeMemory;
        }
        catch (DeviceFailureException)
        {
            return null;
        }
    }

    /// <summary>Gives something back to a driver.</summary>
    /// <remarks>
    /// Drops what the driver reports: of work that failed whoever waited for it was told, and the driver then reports that failure again of
    /// each thing that is given back. Here it would only keep the rest from being given back, too.
    /// </remarks>
    public static void Release(Action giveBack)
    {
        try
        {
            giveBack();
        }
        catch (AcceleratorException)
        {
            // As said above.
        }
    }

    /// <summary>What was reported, with its code, since some messages are empty; without a full stop, which the sentence around it has.</summary>
    public static string Describe(Exception exception) => (exception switch
    {
        CudaException cuda => $"{cuda.Error} {cuda.Message}",
        CLException openCl => $"{openCl.Error} {openCl.Message}",
        _ => exception.Message,
    }).TrimEnd('.', ' ', '\n', '\r');
}
