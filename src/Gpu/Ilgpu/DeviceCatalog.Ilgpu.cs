using System.Reflection;
using ILGPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace IlgpuLoader.Gpu;

/// <content>What ILGPU knows of this machine. Compiled only where the ILGPU package was restored.</content>
public static partial class DeviceCatalog
{
    static partial void ReadIlgpuVersion(ref string? version) =>
        version = typeof(Context).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0]
            ?? typeof(Context).Assembly.GetName().Version?.ToString(3);

    static partial void AddIlgpuDevices(ICollection<DeviceDescription> devices)
    {
        IlgpuLibraries.Resolve();
        // Every OpenCL device is listed, also one that lacks what ILGPU needs: the listing is where people look for why.
        using var context = Context.Create(builder => builder.Cuda().OpenCL(_ => true));
        var cuda = 0;
        var openCl = 0;
        foreach (var device in context.Devices)
        {
            switch (device)
            {
                case CudaDevice:
                    devices.Add(Describe(device, DeviceKind.Cuda, $"cuda:{cuda++}"));
                    break;
                case CLDevice:
                    devices.Add(Describe(device, DeviceKind.OpenCL, $"opencl:{openCl++}"));
                    break;
            }
        }
    }

    private static DeviceDescription Describe(ILGPU.Runtime.Device device, DeviceKind kind, string id) =>
        new(id, kind, device.Name, device.MemorySize, null, "this version loads into host memory only");
}
