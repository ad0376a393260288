using System.Diagnostics;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>The sample application, as a process of its own: its own kernel over a loaded weight, checked by itself.</summary>
internal static class SampleCheck
{
    public static async Task<CheckRow> RunAsync(string application, string checkpoint, Device device)
    {
        var isCuda = device.Kind == DeviceKind.Cuda;
        var tally = new CheckTally($"the sample application on {(isCuda ? "the first GPU" : "ILGPU's CPU accelerator")}");
        // In a bundle this program runs in the muxer that came along, and the sample is to run in the same.
        var ours = Environment.ProcessPath!;
        var muxer = Path.GetFileNameWithoutExtension(ours) == "dotnet" ? ours : "dotnet";
        var start = new ProcessStartInfo(muxer, isCuda ? [application, checkpoint] : [application, "--cpu", checkpoint])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        using var process = Process.Start(start)!;
        var error = process.StandardError.ReadToEndAsync();
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        var ranThere = output.Contains(isCuda ? "cuda:" : "simulator:", StringComparison.Ordinal);
        if (process.ExitCode == 0 && ranThere && output.Contains("equal to the host", StringComparison.Ordinal))
        {
            tally.Pass();
        }
        else
        {
            tally.Fail($"ended with {process.ExitCode}: {output.ReplaceLineEndings("; ")}{(await error).ReplaceLineEndings("; ")}");
        }

        return tally.End();
    }
}
