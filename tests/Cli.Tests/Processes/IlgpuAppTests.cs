using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>The sample that shows an application's own kernel over loaded weights, as people start it.</summary>
public sealed class IlgpuAppTests
{
    [IlgpuFact]
    public async Task IlgpuApp_OnIlgpusOwnAccelerator_GetsWhatTheHostGets()
    {
        var (exitCode, output, error) = await SampleProcess.RunAsync("IlgpuApp", "--cpu", Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"));

        Assert.Equal("", error);
        Assert.Equal(0, exitCode);
        var lines = output.Split('\n');
        Assert.Equal("device   simulator:0: CPUAccelerator", lines[0]);
        Assert.StartsWith("loaded   21 tensors, ", lines[1], StringComparison.Ordinal);
        Assert.Equal("weight   lm_head.weight: F32 [512, 64] on simulator:0", lines[2]);
        Assert.Equal("equal to the host", lines[4]);
    }
}
