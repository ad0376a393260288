using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>The NumPy cache of a model from several processes, and from the command line.</summary>
public sealed class NumpyCacheTests
{
    [LinuxFact]
    public async Task Two_loads_at_once_make_one_cache_and_both_use_it()
    {
        using var folder = new TemporaryFolder();
        var model = folder["m"];
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", folder["s"], "--hidden", "128", "--vocab", "4000")).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("convert", folder["s"], model, "--format", "pt")).ExitCode);
        using (var one = ToolProcess.Start("load", model, "--np-cache", "--json"))
        using (var other = ToolProcess.Start("load", model, "--np-cache", "--json"))
        {
            var runs = await Task.WhenAll(one.EndAsync(TimeSpan.FromMinutes(2)), other.EndAsync(TimeSpan.FromMinutes(2)));
            Assert.All(runs, run => Assert.Equal(0, run.ExitCode));
            Assert.Single(runs, run => run.Error.StartsWith($"made the cache {Path.Combine(model, "np")} in ", StringComparison.Ordinal));
        }

        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(model), path => Path.GetFileName(path).StartsWith('.'));
        Assert.True(File.Exists(Path.Combine(model, "np", "weight_names.json")));
        var written = File.GetLastWriteTimeUtc(Path.Combine(model, "np", "weight_names.json"));
        Assert.Equal(0, (await ToolRun.OfAsync("plan", model, "--np-cache")).ExitCode);
        Assert.Equal(written, File.GetLastWriteTimeUtc(Path.Combine(model, "np", "weight_names.json")));
    }

    [Fact]
    public async Task A_plan_writes_no_cache_and_says_so()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllBytesAsync(folder["a.safetensors"], new SafetensorsBuilder().Add("w", "F32", [1], new byte[4]).ToBytes());
        Directory.CreateDirectory(folder["m"]);
        Assert.Equal(0, (await ToolRun.OfAsync("convert", folder["a.safetensors"], folder["m/pytorch_model.bin"])).ExitCode);
        var planned = await ToolRun.OfAsync("plan", folder["m"], "--np-cache");
        Assert.Equal(0, planned.ExitCode);
        Assert.Contains("the first load would make", planned.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["m/np"]));

        var loaded = await ToolRun.OfAsync("load", folder["m"], "--np-cache");
        Assert.Equal(0, loaded.ExitCode);
        Assert.Contains("made the cache", loaded.Error, StringComparison.Ordinal);
        Assert.Equal("", (await ToolRun.OfAsync("load", folder["m"], "--np-cache")).Error);
        var again = await ToolRun.OfAsync("plan", folder["m"], "--np-cache");
        Assert.Equal((0, ""), (again.ExitCode, again.Error));
    }

    [Fact]
    public async Task A_quiet_load_says_nothing_of_the_cache_it_made()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllBytesAsync(folder["a.safetensors"], new SafetensorsBuilder().Add("w", "F32", [1], new byte[4]).ToBytes());
        Directory.CreateDirectory(folder["m"]);
        Assert.Equal(0, (await ToolRun.OfAsync("convert", folder["a.safetensors"], folder["m/pytorch_model.bin"])).ExitCode);
        var run = await ToolRun.OfAsync("load", folder["m"], "--np-cache", "-q");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.True(Directory.Exists(folder["m/np"]));
    }

    [Fact]
    public async Task A_cache_of_a_file_is_wrong_usage()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllBytesAsync(folder["a.safetensors"], new SafetensorsBuilder().Add("w", "F32", [1], new byte[4]).ToBytes());
        var run = await ToolRun.OfAsync("load", folder["a.safetensors"], "--np-cache");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("--np-cache", run.Error, StringComparison.Ordinal);
    }
}
