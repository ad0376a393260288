using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary><c>shard</c> as several processes at once, and as one that is interrupted.</summary>
public sealed class ShardProcessTests : IDisposable
{
    private static readonly TimeSpan Bound = TimeSpan.FromMinutes(1);

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Two_processes_that_save_a_rank_each_at_once_make_one_whole_state()
    {
        const int times = 5;
        for (var model = 0; model < 2; model++)
        {
            Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", _folder[$"m{model}"], "--layers", "2", "--hidden", "64", "--vocab", "101", "--seed", $"{model}")).ExitCode);
            Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder[$"m{model}"], _folder[$"expected{model}"], "--tp", "2")).ExitCode);
        }

        Assert.NotEqual(Parts("expected0"), Parts("expected1"));
        for (var time = 0; time < times; time++)
        {
            var model = time % 2;
            using var one = Start(model, 0);
            using var other = Start(model, 1);
            var runs = await Task.WhenAll(one.EndAsync(Bound), other.EndAsync(Bound));
            Assert.All(runs, run => Assert.Equal((0, ""), (run.ExitCode, run.Error)));
            var verified = await ToolRun.OfAsync("verify", _folder["out"]);
            Assert.Equal((0, $"ok {_folder["out"]}\n"), (verified.ExitCode, verified.Out));
            Assert.Equal(Parts($"expected{model}"), Parts("out"));
            Assert.Equal(["expected0", "expected1", "m0", "m1", "out"], Entries());
        }

        ToolProcess Start(int model, int rank) => ToolProcess.Start("shard", _folder[$"m{model}"], _folder["out"], "--tp", "2", "--rank", $"{rank}", "--force");
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Ctrl_C_ends_with_130_and_leaves_the_folder_as_it_was(bool isThere)
    {
        const int ranks = 8;
        string[] sizes = ["--layers", "2", "--hidden", "512", "--heads", "16", "--kv-heads", "8", "--vocab", "32000", "--dtype", "bf16"];
        Assert.Equal(0, (await ToolRun.OfAsync(["synth", "llama", _folder["m"], .. sizes])).ExitCode);
        if (isThere)
        {
            Assert.Equal(0, (await ToolRun.OfAsync("shard", _folder["m"], _folder["out"], "--tp", "2")).ExitCode);
        }

        var before = isThere ? Parts("out") : [];
        var total = new FileInfo(_folder["m/model.safetensors"]).Length;
        // In the share of the first rank, and when those of several wait for the others.
        foreach (var written in (long[])[total / ranks / 2, total / 2])
        {
            using var tool = ToolProcess.Start("shard", _folder["m"], _folder["out"], "--tp", $"{ranks}", "--force");
            await tool.UntilAsync(() => tool.WrittenBytes() > written);
            tool.Interrupt();
            var run = await tool.EndAsync(Bound);
            Assert.Equal((130, "", "error: cancelled\n"), (run.ExitCode, run.Out, run.Error));
            Assert.Equal(isThere ? ["m", "out"] : ["m"], Entries());
            Assert.Equal(before, isThere ? Parts("out") : []);
        }
    }

    // The parts of a state by name, with their bytes' SHA-256.
    private string[] Parts(string folder) => [.. Directory.EnumerateFiles(_folder[folder], "*.safetensors").Order(StringComparer.Ordinal).Select(path =>
        $"{Path.GetFileName(path)} {Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(path)))}")];

    private string[] Entries() => [.. Directory.EnumerateFileSystemEntries(_folder.Path).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal)];
}
