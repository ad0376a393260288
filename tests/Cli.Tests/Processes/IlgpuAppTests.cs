using System.Diagnostics;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>The sample that shows an application's own kernel over loaded weights, as people start it.</summary>
public sealed class IlgpuAppTests
{
    [IlgpuFact]
    public async Task IlgpuApp_OnIlgpusOwnAccelerator_GetsWhatTheHostGets()
    {
        var (exitCode, output, error) = await RunAsync("--cpu", Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"));

        Assert.Equal("", error);
        Assert.Equal(0, exitCode);
        var lines = output.Split('\n');
        Assert.Equal("device   simulator:0: CPUAccelerator", lines[0]);
        Assert.StartsWith("loaded   21 tensors, ", lines[1], StringComparison.Ordinal);
        Assert.Equal("weight   lm_head.weight: F32 [512, 64] on simulator:0", lines[2]);
        Assert.Equal("equal to the host", lines[4]);
    }

    private static async Task<(int ExitCode, string Output, string Error)> RunAsync(params string[] args)
    {
        // Built beside these tests: bin/<configuration>/<framework>.
        var bin = new DirectoryInfo(AppContext.BaseDirectory);
        var assembly = Path.Combine(RepositoryPaths.Root, "samples", "IlgpuApp", "bin", bin.Parent!.Name, bin.Name, "IlgpuApp.dll");
        using var process = Process.Start(new ProcessStartInfo("dotnet", [assembly, .. args])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        using var deadline = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        try
        {
            var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
            var error = process.StandardError.ReadToEndAsync(deadline.Token);
            await process.WaitForExitAsync(deadline.Token);
            return (process.ExitCode, await output, await error);
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill();
            }
        }
    }
}
