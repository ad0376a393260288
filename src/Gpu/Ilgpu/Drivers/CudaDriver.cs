using System.Runtime.InteropServices;
using ILGPU.Runtime.Cuda;

namespace IlgpuLoader.Gpu;

/// <summary>Asks CUDA's driver itself what it has: of a driver that fails ILGPU says that there are no devices.</summary>
internal static partial class CudaDriver
{
    /// <summary>Why fewer GPUs are listed than there may be; null where they are all the driver has.</summary>
    /// <param name="listed">How many ILGPU lists.</param>
    public static string? WhyFewer(int listed)
    {
        var status = Initialise(0);
        if (status != 0)
        {
            return WhyNone("cuInit", status);
        }

        status = CountDevices(out var count);
        return status != 0 ? WhyNone("cuDeviceGetCount", status) : WhyFewer(listed, count);
    }

    /// <summary>What it means that a call failed.</summary>
    internal static string WhyNone(string call, int status) => $"CUDA: the driver is installed, and {call} reports {status} ({NameOf(status)}){AdviceFor(status)}.";

    /// <summary>What it means that ILGPU lists fewer than the driver counts.</summary>
    internal static string? WhyFewer(int listed, int count) => count > listed
        ? $"CUDA: the driver counts {count} GPUs, and {listed} of them answered; nvidia-smi may tell what is wrong with the others."
        : null;

    // Those that ILGPU 1.5.3 does not know, by cuda.h of CUDA 12.
    private static string NameOf(int status) => status switch
    {
        34 => "CUDA_ERROR_STUB_LIBRARY",
        46 => "CUDA_ERROR_DEVICE_UNAVAILABLE",
        802 => "CUDA_ERROR_SYSTEM_NOT_READY",
        803 => "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
        804 => "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE",
        _ => Enum.IsDefined((CudaError)status) ? ((CudaError)status).ToString() : "a code of no name that is known here",
    };

    private static string AdviceFor(int status) => status switch
    {
        34 => ": the library is a stub to link with; put the driver's libcuda.so.1 before it",
        (int)CudaError.CUDA_ERROR_NO_DEVICE => ": there is no GPU, CUDA_VISIBLE_DEVICES hides it, or the container was not given it",
        802 => ": start the service that the machine's switches need (nvidia-fabricmanager)",
        803 => ": the library and the kernel's module are of different versions; restart after an update, or install one version of both",
        804 => ": the library is newer than the kernel's module allows on this GPU; remove the forward-compatibility package or update the driver",
        (int)CudaError.CUDA_ERROR_UNKNOWN => ": nvidia-smi may tell more; often the module nvidia_uvm is not loaded, or its device files are not there",
        _ => "",
    };

    [LibraryImport(IlgpuLibraries.Cuda, EntryPoint = "cuInit")]
    private static partial int Initialise(uint flags);

    [LibraryImport(IlgpuLibraries.Cuda, EntryPoint = "cuDeviceGetCount")]
    private static partial int CountDevices(out int count);
}
