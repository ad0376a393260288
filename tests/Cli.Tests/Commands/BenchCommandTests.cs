using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class BenchCommandTests
{
    [Fact]
    public async Task Document_has_every_value_and_the_ratio_to_each_limit()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync(
            "bench", file, "--device", "host", "--rounds", "2", "--lanes", "1", "--memory", "1MiB", "--dtype", "f32", "bf16", "--read", "buffered", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/bench/1");
        Assert.Equal((file, "host", "buffered"), (Text(document, "path"), Text(document, "device"), Text(document, "readMode")));
        Assert.Equal((6, 40, 2, 1), (Number(document, "tensors"), Number(document, "bytesRead"), Number(document, "rounds"), Number(document, "lanes")));
        Assert.True(Number(document.GetProperty("machine"), "memoryBytes") > 0);
        var rows = document.GetProperty("rows").EnumerateArray().ToDictionary(row => Text(row, "name")!);
        // Floats to F32 are two tensors of which one changes, and to BF16 as well.
        foreach (var name in (string[])["load keep, first load", "load keep, reused memory", "load to f32, reused memory", "load to bf16, reused memory"])
        {
            var values = Doubles(rows[name], "values");
            var limit = Assert.Single(rows[name].GetProperty("comparisons").EnumerateArray());
            var others = Doubles(limit, "values");
            Assert.Equal((2, 2, "limit"), (values.Length, others.Length, Text(limit, "against")));
            var ratios = values.Zip(others, (ours, other) => other / ours).ToArray();
            Assert.Equal(ratios.Min(), limit.GetProperty("ratio").GetProperty("minimum").GetDouble(), 1e-9);
            Assert.Equal(ratios.Max(), limit.GetProperty("ratio").GetProperty("maximum").GetDouble(), 1e-9);
        }

        Assert.Equal("bytes", Text(rows["peak memory of a load"], "unit"));
        Assert.DoesNotContain(rows.Keys, name => name.Contains("cold", StringComparison.Ordinal));
        Assert.Contains(document.GetProperty("limits").EnumerateArray(), limit => Text(limit, "name") == "streaming fill");
    }

    [Fact]
    public async Task Text_has_a_line_a_measurement_and_progress_is_apart()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync(
            showProgress: true, CancellationToken.None, "bench", file, "--device", "host", "--rounds", "1", "--lanes", "1", "--memory", "1MiB");
        Assert.Equal(0, run.ExitCode);
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal($"{file}: safetensors, 6 tensors, 40 B read to host, 1 lane, 1.00 MiB for staging, read mode auto, 1 round", lines[0].Replace("0 B for staging", "1.00 MiB for staging", StringComparison.Ordinal));
        Assert.Matches(
            @"^  load keep, reused memory +[\d.]+ \([\d.]+ to [\d.]+\) GB/s +plain reads, \d lanes? x \d+ MiB +[\d.]+ \([\d.]+ to [\d.]+\) GB/s +[\d.]+ \([\d.]+ to [\d.]+\)$",
            Assert.Single(lines, line => line.StartsWith("  load keep, reused memory ", StringComparison.Ordinal)));
        Assert.Contains(lines, line => line.StartsWith("  open ", StringComparison.Ordinal));
        Assert.StartsWith("1/", run.Error, StringComparison.Ordinal);
        Assert.Contains(" limits\n", run.Error, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task A_conversion_that_memory_does_not_hold_is_left_out_and_all_else_is_measured()
    {
        using var folder = new TemporaryFolder();
        var file = folder["a.safetensors"];
        using (var stream = File.Create(file))
        {
            // 68 MiB of zeros as BF16, 136 MiB as F32; the process has 128 MiB.
            const int bytes = 68 << 20;
            stream.Write(SafetensorsBuilder.File("{" + SafetensorsBuilder.Entry("a", "BF16", [bytes / 2], 0, bytes) + "}"));
            stream.SetLength(stream.Length + bytes);
        }

        using var tool = ToolProcess.StartWith(
            ["DOTNET_GCHeapHardLimit=0x8000000"], "bench", file, "--device", "host", "--rounds", "1", "--lanes", "1", "--memory", "1MiB", "--dtype", "f32", "--json");
        var run = await tool.EndAsync(TimeSpan.FromMinutes(2));
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/bench/1");
        var rows = document.GetProperty("rows").EnumerateArray().ToDictionary(row => Text(row, "name")!);
        Assert.Contains("142606336", Text(rows["load to f32, reused memory"], "skipped"), StringComparison.Ordinal);
        foreach (var name in (string[])["load keep, first load", "load keep, reused memory"])
        {
            Assert.Single(Doubles(rows[name], "values"));
        }

        // Half of what is left beside the tensors as they are stored.
        Assert.InRange(Number(document, "yardstickBytes"), 16 << 20, 32 << 20);
    }

    [Fact]
    public async Task Cancelled_ends_with_130_and_no_data()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync(showProgress: false, new CancellationToken(canceled: true), "bench", file, "--device", "host");
        Assert.Equal((130, ""), (run.ExitCode, run.Out));
    }

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static long Number(JsonElement element, string name) => element.GetProperty(name).GetInt64();

    private static double[] Doubles(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];
}
