using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Lets ILGPU, and our own calls, find the drivers' libraries. ILGPU asks for "OpenCL" and "cuda"; the loader then looks for
/// <c>libOpenCL.so</c>, which only development packages install, and the device is silently missing.
/// </summary>
internal static class IlgpuLibraries
{
    /// <summary>The name by which OpenCL is asked for.</summary>
    public const string OpenCL = "OpenCL";

    /// <summary>The name by which CUDA's driver is asked for.</summary>
    public const string Cuda = "cuda";

    private static readonly Lazy<bool> Resolved = new(Install);

    /// <summary>Installs the resolvers, once for the process, before the first context is made.</summary>
    public static void Resolve() => _ = Resolved.Value;

    /// <summary>Whether a driver is installed: asked first, since a context over none costs a tenth of a second.</summary>
    public static bool IsPresent(string name) => !OperatingSystem.IsLinux() || NativeLibrary.TryLoad($"lib{name}.so.1", out _);

    private static bool Install()
    {
        if (!OperatingSystem.IsLinux())
        {
            return false;
        }

        Install(Assembly.GetExecutingAssembly());
        // Under WSL ILGPU installs a resolver of its own, and a second one throws.
        if (!Directory.Exists("/usr/lib/wsl/lib"))
        {
            Install(typeof(Context).Assembly);
        }

        return true;
    }

    private static void Install(Assembly assembly)
    {
        try
        {
            NativeLibrary.SetDllImportResolver(assembly, Find);
        }
        catch (InvalidOperationException)
        {
            // An application that uses ILGPU itself has installed one, which then serves us too.
        }
    }

    private static nint Find(string name, Assembly assembly, DllImportSearchPath? path) =>
        name is OpenCL or Cuda && NativeLibrary.TryLoad($"lib{name}.so.1", out var library) ? library : 0;
}
