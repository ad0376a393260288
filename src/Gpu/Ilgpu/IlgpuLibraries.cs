using System.Runtime.InteropServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Lets ILGPU find the drivers' libraries. It asks for "OpenCL" and "cuda"; the loader then looks for
/// <c>libOpenCL.so</c>, which only development packages install, and the device is silently missing.
/// </summary>
internal static class IlgpuLibraries
{
    private static readonly Lazy<bool> Resolved = new(Install);

    /// <summary>Installs the resolver, once for the process, before the first context is made.</summary>
    public static void Resolve() => _ = Resolved.Value;

    private static bool Install()
    {
        // Under WSL ILGPU installs a resolver of its own, and a second one throws.
        if (!OperatingSystem.IsLinux() || Directory.Exists("/usr/lib/wsl/lib"))
        {
            return false;
        }

        NativeLibrary.SetDllImportResolver(
            typeof(Context).Assembly,
            (name, _, _) => name is "OpenCL" or "cuda" && NativeLibrary.TryLoad($"lib{name}.so.1", out var library) ? library : 0);
        return true;
    }
}
