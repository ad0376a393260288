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
    public static bool IsPresent(string name) => NativeLibrary.TryLoad(FileNameOf(name), out _);

    private static bool Install()
    {
        Install(Assembly.GetExecutingAssembly());
        // Elsewhere ILGPU knows the names; under WSL it installs a resolver of its own for CUDA, and a second one throws.
        if (OperatingSystem.IsLinux() && !IsWsl())
        {
            Install(typeof(Context).Assembly);
        }

        return true;
    }

    // As ILGPU tells it.
    private static bool IsWsl() =>
        Directory.Exists("/usr/lib/wsl/lib")
        && File.Exists("/proc/version")
        && File.ReadAllText("/proc/version").Contains("microsoft", StringComparison.OrdinalIgnoreCase);

    // What drivers install; CUDA has none for macOS, whose OpenCL is a framework.
    private static string FileNameOf(string name) =>
        OperatingSystem.IsWindows() ? (name == Cuda ? "nvcuda.dll" : $"{name}.dll")
        : OperatingSystem.IsMacOS() ? $"/System/Library/Frameworks/{name}.framework/{name}"
        : $"lib{name}.so.1";

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
        name is OpenCL or Cuda && NativeLibrary.TryLoad(FileNameOf(name), out var library) ? library : 0;
}
