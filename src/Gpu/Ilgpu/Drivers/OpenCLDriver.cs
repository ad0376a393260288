using System.Runtime.InteropServices;
using ILGPU.Runtime.OpenCL;

namespace IlgpuLoader.Gpu;

/// <summary>Asks OpenCL's loader itself what it has: of a driver that fails ILGPU says that there are no devices.</summary>
internal static partial class OpenCLDriver
{
    // CL_PLATFORM_NOT_FOUND_KHR of cl_khr_icd: the loader is installed, and no driver. That is no failure, and no line's worth.
    private const int NoPlatform = -1001;

    // CL_DEVICE_NOT_FOUND: a platform without a device is none either.
    private const int NoDevice = -1;

    private const ulong AllTypes = 0xFFFFFFFF;

    /// <summary>Why fewer devices are listed than there may be; null where they are all the drivers have.</summary>
    /// <param name="listed">How many ILGPU lists.</param>
    public static string? WhyFewer(int listed)
    {
        var status = GetPlatforms(0, null, out var platformCount);
        if (status == NoPlatform)
        {
            return null;
        }

        var platforms = new nint[status == 0 ? platformCount : 0];
        if (platforms.Length > 0)
        {
            status = GetPlatforms(platformCount, platforms, out _);
        }

        if (status != 0)
        {
            return WhyNone("clGetPlatformIDs", status);
        }

        long counted = 0;
        foreach (var platform in platforms)
        {
            status = GetDevices(platform, AllTypes, 0, 0, out var count);
            if (status is not (0 or NoDevice))
            {
                return WhyNone("clGetDeviceIDs", status);
            }

            counted += status == 0 ? count : 0;
        }

        return WhyFewer(listed, counted);
    }

    /// <summary>The version of a device's driver, such as 3.1 or 550.54.14; none where it does not say.</summary>
    public static IEnumerable<string> VersionOf(CLDevice device)
    {
        try
        {
            return CLAPI.CurrentAPI.GetDeviceInfo(device.DeviceId, CLDeviceInfoType.CL_DRIVER_VERSION) is { Length: > 0 } version ? [version] : [];
        }
        catch (CLException)
        {
            // A line of the listing without a version is better than no listing.
            return [];
        }
    }

    /// <summary>What it means that a call failed.</summary>
    internal static string WhyNone(string call, int status) => $"OpenCL: a driver is installed, and {call} reports {status} ({NameOf(status)}).";

    /// <summary>What it means that ILGPU lists fewer than the drivers count.</summary>
    internal static string? WhyFewer(int listed, long count) => count > listed
        ? $"OpenCL: the drivers count {count} devices, and {listed} of them are available and answered; clinfo may tell what is wrong with the others."
        : null;

    private static string NameOf(int status) =>
        Enum.IsDefined((CLError)status) ? ((CLError)status).ToString() : "a code of no name that is known here";

    [LibraryImport(IlgpuLibraries.OpenCL, EntryPoint = "clGetPlatformIDs")]
    private static partial int GetPlatforms(uint capacity, [Out] nint[]? platforms, out uint count);

    [LibraryImport(IlgpuLibraries.OpenCL, EntryPoint = "clGetDeviceIDs")]
    private static partial int GetDevices(nint platform, ulong types, uint capacity, nint devices, out uint count);
}
