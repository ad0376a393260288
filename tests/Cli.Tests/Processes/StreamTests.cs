using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class StreamTests
{
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Standard_output_is_data_only_where_there_are_warnings()
    {
        using var folder = new TemporaryFolder();
        using var tool = ToolProcess.Start("inspect", SampleFiles.WithWarning(folder), "--json");
        var run = await tool.EndAsync(Bound);
        run.Document("ilgpu-loader/inspect/1");
        Assert.StartsWith("warning: ", run.Error, StringComparison.Ordinal);
        Assert.Equal(0, run.ExitCode);
    }

    [Fact]
    public async Task There_is_no_progress_bar_where_standard_error_is_not_a_terminal()
    {
        using var folder = new TemporaryFolder();
        using var synth = ToolProcess.Start("synth", "llama", folder["m"]);
        Assert.Equal((0, ""), await ExitAndErrorAsync(synth));
        using var load = ToolProcess.Start("load", folder["m"], "--repeat", "3");
        Assert.Equal((0, ""), await ExitAndErrorAsync(load));
    }

    [LinuxFact]
    public async Task A_reader_that_goes_away_ends_the_tool_quietly()
    {
        using var folder = new TemporaryFolder();
        var builder = new SafetensorsBuilder();
        for (var i = 0; i < 20_000; i++)
        {
            builder.Add($"model.layers.{i}.self_attn.some_projection.weight", "U8", [0], []);
        }

        var file = folder.Write("many.safetensors", builder.ToBytes());
        using var tool = ToolProcess.Start("inspect", file);
        Assert.Equal($"{file}: safetensors, 1 file", await tool.Out.ReadLineAsync());
        tool.CloseOut();
        Assert.Equal((0, ""), await ExitAndErrorAsync(tool));
    }

    [LinuxFact]
    public async Task Output_that_cannot_be_written_is_an_error_and_not_a_crash()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", SafetensorsBuilder.Tiny());
        foreach (var (redirection, args) in new (string, string[])[]
        {
            ("> /dev/full", ["inspect", file]),
            ("> /dev/full", ["hash", file, "--json"]),
            ("> /dev/full", ["--help"]),
            (">&-", ["verify", file]),
        })
        {
            using var tool = ToolProcess.StartInShell(redirection, args);
            var run = await tool.EndAsync(Bound);
            Assert.Equal(3, run.ExitCode);
            Assert.StartsWith("error: standard output", run.Error, StringComparison.Ordinal);
            Assert.Single(run.Error.TrimEnd('\n').Split('\n'));
        }
    }

    [LinuxFact]
    public async Task Messages_that_cannot_be_written_do_not_crash_the_tool()
    {
        using var folder = new TemporaryFolder();
        foreach (var redirection in new[] { "2> /dev/full", "2>&-" })
        {
            using var tool = ToolProcess.StartInShell(redirection, "inspect", folder["none"]);
            Assert.Equal(3, (await tool.EndAsync(Bound)).ExitCode);
        }
    }

    [LinuxFact]
    public async Task A_full_disk_is_an_error_and_leaves_nothing()
    {
        using var folder = new TemporaryFolder();
        // More than any disk has: the space is asked for before anything is written.
        using var tool = ToolProcess.Start("synth", "llama", folder["m"], "--hidden", "65536", "--heads", "64", "--vocab", "2000000000", "--dtype", "f64");
        var run = await tool.EndAsync(Bound);
        Assert.Equal((3, ""), (run.ExitCode, run.Out));
        Assert.StartsWith("error: ", run.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static async Task<(int ExitCode, string Error)> ExitAndErrorAsync(ToolProcess tool)
    {
        var run = await tool.EndAsync(Bound);
        return (run.ExitCode, run.Error);
    }
}
