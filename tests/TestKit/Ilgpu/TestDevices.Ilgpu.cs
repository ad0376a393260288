using ILGPU;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using IlgpuLoader.Gpu;
using Device = IlgpuLoader.Gpu.Device;

namespace IlgpuLoader.TestKit;

/// <content>The devices of ILGPU, wrapped as an application would.</content>
public static partial class TestDevices
{
    static partial void FindIlgpu(TestDevice kind, ref Device? device, ref string? missing)
    {
        IlgpuDevice.FindDrivers();
        try
        {
            var context = Context.Create(builder => AddDevices(builder.Optimize(OptimizationLevel.O2), kind));
            var found = context.Devices.FirstOrDefault(candidate => kind switch
            {
                TestDevice.Cuda => candidate is CudaDevice,
                TestDevice.OpenCL => candidate is CLDevice,
                _ => candidate is CPUDevice,
            });
            device = found is null ? null : IlgpuDevice.Wrap(found.CreateAccelerator(context));
            missing = found is null ? $"There is no {kind} device on this machine." : null;
        }
        catch (Exception exception)
        {
            // Thrown while tests are looked for, it would take all of them with it. What drivers throw is not one kind.
            missing = $"The {kind} device of this machine cannot be opened: {exception.Message}";
        }
    }

    private static void AddDevices(Context.Builder builder, TestDevice kind)
    {
        switch (kind)
        {
            case TestDevice.Cuda:
                builder.Cuda();
                break;
            case TestDevice.OpenCL:
                builder.OpenCL(device => AllowGenericAddresses(device));
                break;
            default:
                builder.CPU(CPUDevice.Default);
                break;
        }
    }

    // PoCL 3.1 has no generic address space, which ILGPU asks for and at O2 does not use: there it is good enough to test on.
    private static bool AllowGenericAddresses(CLDevice device)
    {
        typeof(CLCapabilityContext).GetProperty(nameof(CLCapabilityContext.GenericAddressSpace))!.SetValue(device.Capabilities, true);
        return true;
    }
}
