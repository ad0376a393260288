using System.Runtime.InteropServices;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Harness;

/// <summary>What the figures were measured on.</summary>
internal static class Machine
{
    public static string Describe() =>
        $"{HostDevice.Shared.Name}, {HostDevice.Shared.TotalMemory / (double)(1L << 30):0.0} GiB, {RuntimeInformation.OSDescription}, "
        + $"{RuntimeInformation.FrameworkDescription}, {RuntimeInformation.RuntimeIdentifier}";
}
