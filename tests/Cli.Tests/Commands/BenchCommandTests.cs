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
        var file = WriteFloats(folder);
        var run = await ToolRun.OfAsync(
            "bench", file, "--device", "host", "--rounds", "2", "--lanes", "1", "--memory", "1MiB", "--dtype", "f32", "bf16", "--read", "buffered", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/bench/1");
        Assert.Equal((file, "host", "buffered"), (Text(document, "path"), Text(document, "device"), Text(document, "readMode")));
        Assert.Equal((2, 8 << 20, 2, 1), (Number(document, "tensors"), Number(document, "bytesRead"), Number(document, "rounds"), Number(document, "lanes")));
        Assert.True(Number(document.GetProperty("machine"), "memoryBytes") > 0);
        var rows = document.GetProperty("rows").EnumerateArray().ToDictionary(row => Text(row, "name")!);
        Assert.True(document.GetProperty("filesCached").GetBoolean());
        // Of the two tensors one changes to F32, and the other to BF16.
        foreach (var name in (string[])["load keep, first load", "load keep, reused memory", "load to f32, reused memory", "load to bf16, reused memory"])
        {
            var values = Doubles(rows[name], "values");
            Assert.Equal("buffered", Text(rows[name], "readMode"));
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
        var file = WriteFloats(folder);
        var run = await ToolRun.OfAsync(
            showProgress: true, CancellationToken.None, "bench", file, "--device", "host", "--rounds", "1", "--lanes", "1", "--memory", "1MiB");
        Assert.Equal(0, run.ExitCode);
        var lines = run.Out.TrimEnd('\n').Split('\n');
        Assert.Equal($"{file}: safetensors, 2 tensors, 8.00 MiB read to host, 1 lane, 1.00 MiB for staging, read mode auto, 1 round", lines[0].Replace("0 B for staging", "1.00 MiB for staging", StringComparison.Ordinal));
        Assert.Matches(
            @"^  load keep, reused memory +buffered +[\d.]+ GB/s +plain reads, \d lanes? x \d+ MiB +[\d.]+ GB/s +[\d.]+$",
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

    [Fact]
    public async Task Little_is_told_in_milliseconds_and_nothing_is_an_error()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("bench", file, "--device", "host", "--rounds", "1");
        Assert.Equal(0, run.ExitCode);
        Assert.Contains("\nless than 4.00 MiB is read: ", run.Out, StringComparison.Ordinal);
        Assert.Matches(@"\n  load keep, reused memory +buffered +[\d.]+ ms\n", run.Out);
        var none = await ToolRun.OfAsync("bench", file, "--device", "host", "--include", "none*");
        Assert.Equal((2, ""), (none.ExitCode, none.Out));
        Assert.Contains("None of the 6 tensors", none.Error, StringComparison.Ordinal);
        var empty = await ToolRun.OfAsync("bench", folder.Write("empty.safetensors", new SafetensorsBuilder().ToBytes()), "--device", "host");
        Assert.Equal((5, ""), (empty.ExitCode, empty.Out));
        Assert.Contains("nothing to measure", empty.Error, StringComparison.Ordinal);
    }

    private static string WriteFloats(TemporaryFolder folder) => folder.Write(
        "floats.safetensors",
        new SafetensorsBuilder().Add("a", "F32", [1 << 20], new byte[4 << 20]).Add("b", "BF16", [2 << 20], new byte[4 << 20]).ToBytes());

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static long Number(JsonElement element, string name) => element.GetProperty(name).GetInt64();

    private static double[] Doubles(JsonElement element, string name) =>
        [.. element.GetProperty(name).EnumerateArray().Select(value => value.GetDouble())];
}
