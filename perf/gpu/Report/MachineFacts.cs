using System.ComponentModel;
using System.Diagnostics;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>What the figures were measured on.</summary>
internal static class MachineFacts
{
    public static IEnumerable<KeyValuePair<string, string>> Of(BenchDevice device, BenchOptions options)
    {
        yield return new("date", DateTime.UtcNow.ToString("yyyy-MM-dd HH:mm 'UTC'"));
        yield return new("machine", $"{MachineDescription.Current}, {Environment.ProcessorCount} cores");
        yield return new("device", $"{device.Device.Id}: {device.Device.Name}, {device.Device.TotalMemory / (double)(1L << 30):0.0} GiB, {device.Device.FreeMemory / (double)(1L << 30):0.0} GiB free");
        foreach (var fact in device.Facts)
        {
            yield return fact;
        }

        // Only NVIDIA's tool tells the driver's own version and the link.
        if (device.Device.Kind == DeviceKind.Cuda)
        {
            yield return new("nvidia-smi", AskNvidia());
        }

        yield return new("options", options.CommandLine);
    }

    private static string AskNvidia()
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(
                "nvidia-smi",
                ["--query-gpu=name,driver_version,memory.total,pcie.link.gen.current,pcie.link.width.current,clocks.max.sm,clocks.max.mem", "--format=csv,noheader"])
            {
                RedirectStandardOutput = true,
                UseShellExecute = false,
            })!;
            var text = process.StandardOutput.ReadToEnd().Trim().ReplaceLineEndings("; ");
            process.WaitForExit();
            return text;
        }
        catch (Win32Exception exception)
        {
            return $"not there: {exception.Message}";
        }
    }
}
