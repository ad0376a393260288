using System.Runtime.InteropServices;

namespace IlgpuLoader.Gpu;

/// <summary>The calls about events that ILGPU keeps to itself (OpenCL 1.2, sections 5.9 to 5.13).</summary>
internal static partial class OpenCLEvents
{
    /// <summary>CL_SUCCESS.</summary>
    public const int Success = 0;

    /// <summary>CL_COMPLETE.</summary>
    public const int Complete = 0;

    /// <summary>CL_EVENT_COMMAND_EXECUTION_STATUS.</summary>
    public const int ExecutionStatus = 0x11D3;

    [LibraryImport(IlgpuLibraries.OpenCL, EntryPoint = "clEnqueueMarkerWithWaitList")]
    public static partial int EnqueueMarker(nint queue, uint waitCount, nint waitList, out nint completed);

    [LibraryImport(IlgpuLibraries.OpenCL, EntryPoint = "clFlush")]
    public static partial int Flush(nint queue);

    [LibraryImport(IlgpuLibraries.OpenCL, EntryPoint = "clGetEventInfo")]
    public static partial int GetInfo(nint completed, int name, nuint size, out int value, nint sizeReturned);

    [LibraryImport(IlgpuLibraries.OpenCL, EntryPoint = "clWaitForEvents")]
    public static partial int Wait(uint count, in nint completed);

    [LibraryImport(IlgpuLibraries.OpenCL, EntryPoint = "clReleaseEvent")]
    public static partial int Release(nint completed);
}
