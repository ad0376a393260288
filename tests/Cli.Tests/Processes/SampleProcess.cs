using System.Diagnostics;
using IlgpuLoader.TestKit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>A program of <c>samples/</c>, as people start it.</summary>
internal static class SampleProcess
{
    /// <summary>Runs a sample to its end.</summary>
    public static async Task<(int ExitCode, string Output, string Error)> RunAsync(string sample, params string[] args)
    {
        // Built beside these tests: bin/<configuration>/<framework>.
        var bin = new DirectoryInfo(AppContext.BaseDirectory);
        var assembly = Path.Combine(RepositoryPaths.Root, "samples", sample, "bin", bin.Parent!.Name, bin.Name, $"{sample}.dll");
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
