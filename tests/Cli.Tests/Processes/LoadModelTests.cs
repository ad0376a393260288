using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>The sample that loads a checkpoint into its architecture's layout, as people start it.</summary>
public sealed class LoadModelTests
{
    [Fact]
    public async Task LoadModel_OnARank_ListsItsParameters()
    {
        var (exitCode, output, error) = await SampleProcess.RunAsync("LoadModel", Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama"), "2", "1");

        Assert.Equal("", error);
        Assert.Equal(0, exitCode);
        var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(15, lines.Length);
        Assert.Equal("model.layers.0.self_attn.qkv_proj.weight BF16 [64, 64]", lines[1]);
    }
}
