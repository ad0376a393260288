using System.ComponentModel;
using System.Diagnostics;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class SignalTests
{
    // The contract says one second; a machine that runs other tests at the same time gets more.
    private static readonly TimeSpan Bound = TimeSpan.FromSeconds(5);

    // Seven gigabytes, of which little is written before the signal: shards take their space one after the other.
    private static readonly string[] SevenGigabytes =
        ["--layers", "40", "--hidden", "2048", "--heads", "16", "--kv-heads", "8", "--dtype", "f32", "--shards", "160"];

    // In the middle of the first shards.
    private const long Underway = 64L << 20;

    [LinuxFact]
    public async Task Ctrl_C_during_synth_ends_with_130_and_leaves_nothing()
    {
        using var folder = new TemporaryFolder();
        using var tool = ToolProcess.Start(["synth", "llama", folder["m"], .. SevenGigabytes]);
        await tool.UntilAsync(() => tool.WrittenBytes() > Underway);
        tool.Interrupt();
        var run = await tool.EndAsync(Bound);
        Assert.Equal((130, "", "error: cancelled\n"), (run.ExitCode, run.Out, run.Error));
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [LinuxFact]
    public async Task Ctrl_C_during_a_replacing_synth_keeps_the_old_checkpoint()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", folder["m"])).ExitCode);
        var before = (await ToolRun.OfAsync("hash", folder["m"])).Out;
        using var tool = ToolProcess.Start(["synth", "llama", folder["m"], "--force", .. SevenGigabytes]);
        await tool.UntilAsync(() => tool.WrittenBytes() > Underway);
        tool.Interrupt();
        Assert.Equal(130, (await tool.EndAsync(Bound)).ExitCode);
        Assert.Equal([folder["m"]], Directory.EnumerateFileSystemEntries(folder.Path));
        Assert.Equal(before, (await ToolRun.OfAsync("hash", folder["m"])).Out);
    }

    [LinuxFact]
    public async Task A_request_to_terminate_cleans_up_as_well()
    {
        using var folder = new TemporaryFolder();
        using var tool = ToolProcess.Start(["synth", "llama", folder["m"], "--json", .. SevenGigabytes]);
        await tool.UntilAsync(() => tool.WrittenBytes() > Underway);
        tool.Terminate();
        (await tool.EndAsync(Bound)).ErrorDocument("Cancelled", 130);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [LinuxFact]
    public async Task Ctrl_C_during_convert_ends_with_130_and_leaves_nothing()
    {
        using var folder = new TemporaryFolder();
        using var input = new TemporaryFolder();
        var model = SampleFiles.WriteHoles(input["m.safetensors"]);
        foreach (var output in (string[])["out", "out.safetensors"])
        {
            using var tool = ToolProcess.Start("convert", model, folder[output], "--dtype", "f32");
            await tool.UntilAsync(() => tool.WrittenBytes() > Underway);
            tool.Interrupt();
            var run = await tool.EndAsync(Bound);
            Assert.Equal((130, "", "error: cancelled\n"), (run.ExitCode, run.Out, run.Error));
            Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
        }
    }

    [LinuxFact]
    public async Task Ctrl_C_during_load_ends_with_130()
    {
        using var folder = new TemporaryFolder();
        await WriteLargeAsync(folder["m"]);
        using var tool = ToolProcess.Start("load", folder["m"], "--repeat", "1000000", "--verbose");
        // The plan is shown right before the first load begins.
        Assert.Equal($"{folder["m"]}: 21 tensors to host as stored", await tool.Error.ReadLineAsync());
        tool.Interrupt();
        var run = await tool.EndAsync(Bound);
        Assert.Equal((130, ""), (run.ExitCode, run.Out));
        Assert.Contains("error: cancelled\n", run.Error, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Ctrl_C_during_hash_ends_with_130()
    {
        using var folder = new TemporaryFolder();
        await WriteLargeAsync(folder["m"]);
        using var tool = ToolProcess.Start(["hash", folder["m"], folder["none"], .. Enumerable.Repeat(folder["m"], 1000)]);
        // The first path is done where the second, which does not exist, is reported.
        Assert.StartsWith("error: ", await tool.Error.ReadLineAsync(), StringComparison.Ordinal);
        tool.Interrupt();
        var run = await tool.EndAsync(Bound);
        Assert.Equal((130, "error: cancelled\n"), (run.ExitCode, run.Error));
        // What was finished before is not lost.
        Assert.StartsWith($"{folder["m"]}:\n", run.Out, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task A_second_ctrl_C_ends_what_does_not_end_by_itself()
    {
        using var folder = new TemporaryFolder();
        // More lines than a pipe holds, into one that nobody reads: the write waits in the kernel, where no token reaches it.
        var many = new SafetensorsBuilder();
        for (var i = 0; i < 10_000; i++)
        {
            many.Add($"model.layers.{i}.self_attn.q_proj.weight", "U8", [1], [1]);
        }

        using var tool = ToolProcess.Start("inspect", folder.Write("many.safetensors", many.ToBytes()));
        Assert.Equal(1, await tool.Out.ReadAsync(new char[1]));
        var started = Stopwatch.GetTimestamp();
        var interrupts = 0;
        while (!await tool.EndsWithinAsync(TimeSpan.FromMilliseconds(200)) && Stopwatch.GetElapsedTime(started) < Bound)
        {
            try
            {
                tool.Interrupt();
                interrupts++;
            }
            catch (Win32Exception)
            {
                // It ended between the look and the signal.
            }
        }

        var run = await tool.EndAsync(Bound);
        Assert.True(interrupts >= 2);
        Assert.Equal((130, ""), (run.ExitCode, run.Error)); // 128 and the signal's number: ended by it
    }

    // A quarter of a gigabyte: long enough to be caught in the middle, over and over.
    private static async Task WriteLargeAsync(string path) =>
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", path, "--hidden", "1024", "--vocab", "50000", "--dtype", "bf16")).ExitCode);
}
