using System.Diagnostics;
using System.Globalization;
using ILGPU;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <content>Devices of ILGPU, opened step by step so that each step has its time.</content>
internal sealed partial class BenchDevice
{
    static partial void OpenIlgpu(BenchOptions options, ref BenchDevice? opened)
    {
        var parts = options.Device.Split(':');
        var index = parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0;
        var startUp = new List<StartUpTime>();
        // Also what lets ILGPU find libcuda.so.1 and libOpenCL.so.1.
        var descriptions = Time("drivers loaded and devices listed", () => DeviceCatalog.List());
        var description = descriptions.FirstOrDefault(listed => listed.Id == options.Device);
        if (description?.Unusable is { } reason && !options.AllowsNoGenericAddresses)
        {
            throw new DeviceUnavailableException(options.Device, $"Nothing can be loaded onto {options.Device} ({description.Name}): {reason}.");
        }

        var owned = new List<IDisposable>();
        try
        {
            var context = Time("context made", () => Context.Create(builder => AddDevices(builder.Optimize(OptimizationLevel.O2), parts[0], options)));
            owned.Insert(0, context);
            var device = context.Devices.Where(candidate => NameOf(candidate) == parts[0]).ElementAtOrDefault(index)
                ?? throw new DeviceUnavailableException(
                    options.Device,
                    $"There is no device '{options.Device}'; there are {string.Join(", ", descriptions.Select(listed => listed.Id))} and simulator.");
            var accelerator = Time("accelerator made", () => device.CreateAccelerator(context));
            owned.Insert(0, accelerator);
            var wrapped = IlgpuDevice.Wrap(accelerator);
            owned.Insert(0, wrapped);
            List<KeyValuePair<string, string>> facts = [new("ILGPU", DeviceCatalog.IlgpuVersion!)];
            if (description is not null)
            {
                facts.Add(new("driver", description.Driver ?? "unknown"));
                facts.Add(new("kernels for", description.InstructionSet ?? "unknown"));
            }

            opened = new BenchDevice(wrapped, startUp, facts, owned);
        }
        catch
        {
            owned.ForEach(disposable => disposable.Dispose());
            throw;
        }

        T Time<T>(string name, Func<T> action)
        {
            var started = Stopwatch.GetTimestamp();
            var result = action();
            startUp.Add(new StartUpTime(name, Stopwatch.GetElapsedTime(started).TotalSeconds));
            return result;
        }
    }

    private static void AddDevices(Context.Builder builder, string kind, BenchOptions options)
    {
        // All of a kind, as the catalogue counts them.
        switch (kind)
        {
            case "cuda":
                builder.Cuda(_ => true);
                break;
            case "opencl":
                builder.OpenCL(device => !options.AllowsNoGenericAddresses || AllowGenericAddresses(device));
                break;
            case "simulator":
                builder.CPU(CPUDevice.Default);
                break;
            default:
                throw new DeviceUnavailableException(options.Device, $"There is no device '{options.Device}'.");
        }
    }

    private static string NameOf(ILGPU.Runtime.Device device) => device switch
    {
        CudaDevice => "cuda",
        CLDevice => "opencl",
        _ => "simulator",
    };

    // As the tests do: PoCL 3.1 has no generic address space, which ILGPU asks for and at O2 does not use. The property has no public setter.
    private static bool AllowGenericAddresses(CLDevice device)
    {
        typeof(CLCapabilityContext).GetProperty(nameof(CLCapabilityContext.GenericAddressSpace))!.SetValue(device.Capabilities, true);
        return true;
    }
}
