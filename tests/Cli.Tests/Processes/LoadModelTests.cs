using System.Diagnostics;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>The sample that loads a checkpoint into its architecture's layout, as people start it.</summary>
public sealed class LoadModelTests
{
    [Fact]
    public async Task LoadModel_OnARank_ListsItsParameters()
    {
        var bin = new DirectoryInfo(AppContext.BaseDirectory);
        var assembly = Path.Combine(RepositoryPaths.Root, "samples", "LoadModel", "bin", bin.Parent!.Name, bin.Name, "LoadModel.dll");
        using var process = Process.Start(new ProcessStartInfo("dotnet", [assembly, Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"), "2", "1"])
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
            Assert.Equal("", await error);
            Assert.Equal(0, process.ExitCode);
            var lines = (await output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(15, lines.Length);
            Assert.Equal("model.layers.0.self_attn.qkv_proj.weight BF16 [64, 64]", lines[1]);
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
