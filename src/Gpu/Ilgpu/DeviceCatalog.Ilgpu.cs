using System.Reflection;
using ILGPU;

namespace IlgpuLoader.Gpu;

/// <content>What ILGPU knows of this machine. Compiled only where the ILGPU package was restored.</content>
public static partial class DeviceCatalog
{
    static partial void ReadIlgpuVersion(ref string? version) =>
        version = typeof(Context).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
            ?? typeof(Context).Assembly.GetName().Version?.ToString(3);

    static partial void AddIlgpuDevices(ICollection<DeviceDescription> devices, ICollection<string> problems)
    {
        foreach (var backend in IlgpuBackend.All)
        {
            foreach (var description in backend.Describe())
            {
                devices.Add(description);
            }

            if (backend.Problem is { } problem)
            {
                problems.Add(problem);
            }
        }
    }

    static partial void OpenIlgpuDevice(string id, ref Device? device, ICollection<string> problems)
    {
        if (id == Auto)
        {
            // OpenCL devices are chosen by name: many are the processor once more, or share its memory.
            device = IlgpuBackend.Cuda.OpenFirst(problems);
            return;
        }

        foreach (var backend in IlgpuBackend.All)
        {
            device ??= backend.Open(id);
        }
    }
}
