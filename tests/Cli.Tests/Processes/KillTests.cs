using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>A conversion that is killed without a chance to clean up leaves nothing, or the whole output.</summary>
public sealed class KillTests
{
    private const int Moments = 50;

    // The last moments are those in which everything is written and names are given.
    private const int LateMoments = 10;

    [LinuxFact]
    public async Task A_convert_killed_at_any_of_fifty_moments_leaves_nothing_or_the_whole()
    {
        using var input = new TemporaryFolder();
        using var folder = new TemporaryFolder();
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", input["m"], "--hidden", "256", "--vocab", "8000")).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync(Convert(input["m"], input["expected"]))).ExitCode);
        var expected = await HashAsync(input["expected"]);
        var total = new DirectoryInfo(input["expected"]).EnumerateFiles().Sum(file => file.Length);
        var killed = 0;
        var leftovers = 0;
        for (var moment = 0; moment < Moments; moment++)
        {
            var output = folder[moment % 2 == 0 ? "out" : "out.safetensors"];
            using (var tool = ToolProcess.Start(Convert(input["m"], output)))
            {
                // By what it has written, not by the clock: moments are spread evenly on any machine.
                var at = total * Math.Min(moment, Moments - LateMoments) / (Moments - LateMoments);
                while (!tool.HasEnded && tool.WrittenBytes() < at)
                {
                    await Task.Yield();
                }

                await Task.Delay(Math.Max(0, moment - (Moments - LateMoments)));
                killed += tool.KillNow() ? 1 : 0;
            }

            if (Path.Exists(output))
            {
                Assert.Equal(expected, await HashAsync(output));
                Clear(output);
            }

            var left = Directory.EnumerateFileSystemEntries(folder.Path).ToArray();
            Assert.All(left, path => Assert.StartsWith(".out.", Path.GetFileName(path), StringComparison.Ordinal));
            leftovers = Math.Max(leftovers, left.Length);
        }

        // Between the naming of a folder's first file and the folder's own name lie milliseconds in which all of it is
        // there, hidden: few moments hit them, and the next run removes what they leave.
        Assert.InRange(leftovers, 0, LateMoments);
        foreach (var output in (string[])["out", "out.safetensors"])
        {
            Assert.Equal(0, (await ToolRun.OfAsync(Convert(input["m"], folder[output]))).ExitCode);
        }

        Assert.Equal([folder["out"], folder["out.safetensors"]], Directory.EnumerateFileSystemEntries(folder.Path).Order(StringComparer.Ordinal));
        Assert.True(killed > Moments / 2, $"only {killed} of {Moments} runs were caught");
    }

    [LinuxFact]
    public async Task A_convert_killed_in_the_middle_leaves_nothing_not_even_hidden()
    {
        using var input = new TemporaryFolder();
        using var folder = new TemporaryFolder();
        var model = SampleFiles.WriteHoles(input["m.safetensors"]);
        foreach (var output in (string[])["out", "out.safetensors", "out.gguf"])
        {
            // Of four gigabytes the first are written; shards of 64 MiB, of which one is done.
            string[] shards = output == "out" ? ["--max-shard-size", "64MiB"] : [];
            using var tool = ToolProcess.Start(["convert", model, folder[output], "--dtype", "f32", .. shards]);
            await tool.UntilAsync(() => tool.WrittenBytes() > 80L << 20);
            Assert.True(tool.KillNow());
            Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
        }
    }

    private static string[] Convert(string input, string output) =>
        output.EndsWith(".safetensors", StringComparison.Ordinal)
            ? ["convert", input, output, "--dtype", "f32"]
            : ["convert", input, output, "--dtype", "f32", "--max-shard-size", "4MiB"];

    // Sorted: one file and shards differ in their order only.
    private static async Task<string[]> HashAsync(string path)
    {
        var run = await ToolRun.OfAsync("hash", path);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        return [.. run.Out.Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).Order(StringComparer.Ordinal)];
    }

    private static void Clear(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
        else
        {
            File.Delete(path);
        }
    }
}
