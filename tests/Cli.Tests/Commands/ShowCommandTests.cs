using System.Runtime.InteropServices;
using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class ShowCommandTests
{
    [Fact]
    public async Task A_device_computes_the_same_statistics_and_one_that_cannot_is_refused()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var expected = await ToolRun.OfAsync("show", file, "block.0.f32");
        foreach (var device in new[] { "host", "auto" })
        {
            var run = await ToolRun.OfAsync("show", file, "block.0.f32", "--device", device);
            Assert.Equal((0, expected.Out), (run.ExitCode, run.Out));
        }

        Assert.Equal(2, (await ToolRun.OfAsync("show", file, "block.0.f32", "--device", "meta")).ExitCode);
        Assert.Equal(7, (await ToolRun.OfAsync("show", file, "block.0.f32", "--device", "cuda:99")).ExitCode);
    }

    [Fact]
    public async Task Text_shows_facts_values_statistics_and_histogram()
    {
        using var folder = new TemporaryFolder();
        float[] values = [0, 0.1f, 0.1f, float.NaN, 1, -1, float.PositiveInfinity, 2, 2];
        var file = folder.Write("a.safetensors", new SafetensorsBuilder().Add("w", "F32", [3, 3], MemoryMarshal.AsBytes(values.AsSpan())).ToBytes());
        var run = await ToolRun.OfAsync("show", file, "w", "--count", "2");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Contains("\nvalues [:2, :2]\n    0  0.1  …\n  NaN    1  …\n    …\n\n", run.Out, StringComparison.Ordinal);
        foreach (var line in new[]
        {
            "  dtype   F32", "  shape   [3, 3]", $"  file    {file}", "  bytes   36", "  values            9", "  min               -1", "  max               2",
            "  mean              0.6", "  zeros             1  (11.1%)", "  NaN               1  (11.1%)", "  +Inf              1  (11.1%)", "  -Inf              0",
        })
        {
            Assert.Contains(line + "\n", run.Out, StringComparison.Ordinal);
        }

        var bars = run.Out[run.Out.IndexOf("histogram\n", StringComparison.Ordinal)..].TrimEnd('\n').Split('\n')[1..];
        Assert.Equal(20, bars.Length);
        Assert.Matches(@"^ +-1  to +-0\.85  █+ +1  14\.3%$", bars[0]);
        Assert.EndsWith("2  28.6%", bars[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Document_has_the_same_with_strings_where_json_has_no_numbers()
    {
        using var folder = new TemporaryFolder();
        float[] values = [1, float.NaN, float.NegativeInfinity];
        var file = folder.Write("a.safetensors", new SafetensorsBuilder().Add("w", "F32", [1, 1, 3], MemoryMarshal.AsBytes(values.AsSpan())).ToBytes());
        var run = await ToolRun.OfAsync("show", file, "w", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/show/1");
        Assert.Equal("""{"index":[0],"rows":[[1,"NaN","-Infinity"]]}""", document.GetProperty("values").GetRawText());
        Assert.Equal(
            """{"count":3,"zeros":0,"nan":1,"positiveInfinity":0,"negativeInfinity":1,"min":1,"max":1,"mean":1,"standardDeviation":0}""",
            document.GetProperty("statistics").GetRawText());
        Assert.Equal("""[{"lower":1,"upper":1,"count":1}]""", document.GetProperty("histogram").GetRawText());
        Assert.Equal(("F32", 12), (document.GetProperty("dtype").GetString(), document.GetProperty("bytes").GetInt32()));
    }

    [Fact]
    public async Task Every_kind_of_value_has_its_text_and_its_json()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        foreach (var (name, text, json) in new[]
        {
            ("block.0.bf16", "  1  -2\n", "[[1,-2]]"),
            ("block.1.i64", "  1  -2\n", "[[1,-2]]"),
            ("block.1.bool", "  true  false\n", "[[true,false]]"),
            ("complex", "  1-2i\n", "[[[1,-2]]]"),
        })
        {
            Assert.Contains($"values [:]\n{text}", (await ToolRun.OfAsync("show", file, name)).Out, StringComparison.Ordinal);
            var document = (await ToolRun.OfAsync("show", file, name, "--json")).Document("ilgpu-loader/show/1");
            Assert.Equal(json, document.GetProperty("values").GetProperty("rows").GetRawText());
        }
    }

    [Fact]
    public async Task Scalars_and_empty_tensors_are_shown()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", new SafetensorsBuilder().Add("s", "U8", [], [7]).Add("e", "F32", [0, 3], []).ToBytes());
        Assert.Contains("\nvalue\n  7\n", (await ToolRun.OfAsync("show", file, "s")).Out, StringComparison.Ordinal);
        var empty = await ToolRun.OfAsync("show", file, "e");
        Assert.Equal((0, ""), (empty.ExitCode, empty.Error));
        Assert.Contains("  min               -\n", empty.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("histogram", empty.Out, StringComparison.Ordinal);
        var statistics = (await ToolRun.OfAsync("show", file, "e", "--json")).Document("ilgpu-loader/show/1").GetProperty("statistics");
        Assert.Equal(JsonValueKind.Null, statistics.GetProperty("mean").ValueKind);
    }

    [Fact]
    public async Task A_name_that_is_not_there_gets_the_nearest()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("show", file, "block.0.f31", "--json");
        var error = run.ErrorDocument("TensorNotFound", 5);
        Assert.Contains("'block.0.f32'", error.GetProperty("message").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Statistics_of_all_tensors_are_a_table_and_a_field()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var text = await ToolRun.OfAsync("inspect", file, "--stats", "--include", "block.*");
        Assert.Equal((0, ""), (text.ExitCode, text.Error));
        Assert.Matches(@"\n +min +max +mean +std +zeros +NaN +Inf\n", text.Out);
        Assert.Matches(@"\n  block\.0\.f32 +F32 +\[2\] +-2 +1 +-0\.5 +1\.5 +0 +0 +0\n", text.Out);
        Assert.Matches(@"\n  block\.1\.bool +BOOL +\[2\] +false +true +0\.5 +0\.5 +1 +0 +0\n", text.Out);
        var json = await ToolRun.OfAsync("inspect", file, "--stats", "--include", "block.0.f32", "--json");
        var tensor = Assert.Single(json.Document("ilgpu-loader/inspect/1").GetProperty("tensors").EnumerateArray());
        Assert.Equal(
            """{"count":2,"zeros":0,"nan":0,"positiveInfinity":0,"negativeInfinity":0,"min":-2,"max":1,"mean":-0.5,"standardDeviation":1.5}""",
            tensor.GetProperty("statistics").GetRawText());
        Assert.DoesNotContain("statistics", (await ToolRun.OfAsync("inspect", file, "--json")).Out, StringComparison.Ordinal);
    }
}
