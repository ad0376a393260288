using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class DiffCommandTests
{
    private static readonly byte[] One = [0, 0, 128, 63];

    [Fact]
    public async Task Text_is_grouped_and_ends_with_a_summary()
    {
        using var folder = new TemporaryFolder();
        var (left, right) = WriteBoth(folder);
        var run = await ToolRun.OfAsync("diff", left, right, "--values");
        Assert.Equal((6, ""), (run.ExitCode, run.Error));
        Assert.Equal(
            """
            added     new     F32 [1]
            removed   gone    F32 [1]
            dtype     typed   BF16 -> F32, values are equal
            shape     shaped  [1] -> [1, 1]
            values    valued  1 of 2 differ, largest 3 at [1] (1 -> -2), largest relative 1.5
            bytes     zero    1 element with other bytes and equal values
            metadata  format  pt -> (none)
            1 added, 1 removed, 4 changed, 1 equal; metadata differs, which does not count

            """,
            run.Out);
        Assert.Equal(run.Out, (await ToolRun.OfAsync("diff", left, right, "--values", "-q")).Out);
    }

    [Fact]
    public async Task Without_values_it_says_that_they_were_not_compared()
    {
        using var folder = new TemporaryFolder();
        var (left, right) = WriteBoth(folder);
        var run = await ToolRun.OfAsync("diff", left, right, "--include", "valued", "--include", "same");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.EndsWith(
            "\n0 added, 0 removed, 0 changed, 2 equal in dtype and shape (values were not compared: --values); metadata differs, which does not count\n", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Document_has_every_difference_and_counts_what_is_equal()
    {
        using var folder = new TemporaryFolder();
        var (left, right) = WriteBoth(folder);
        var run = await ToolRun.OfAsync("diff", left, right, "--values", "--json");
        Assert.Equal((6, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/diff/1");
        Assert.Equal((left, right), (document.GetProperty("left").GetString(), document.GetProperty("right").GetString()));
        Assert.True(document.GetProperty("comparedValues").GetBoolean() && document.GetProperty("different").GetBoolean());
        Assert.Equal("""{"added":1,"removed":1,"changed":4,"notCompared":0,"equal":1}""", document.GetProperty("totals").GetRawText());
        var tensors = document.GetProperty("tensors").EnumerateArray().ToDictionary(tensor => tensor.GetProperty("name").GetString()!);
        Assert.Equal(["gone", "typed", "shaped", "valued", "zero", "new"], tensors.Keys);
        Assert.Equal(
            """{"count":2,"different":1,"bytesOnly":0,"nanAppeared":0,"nanDisappeared":0,"largest":{"index":[1],"left":1,"right":-2,"absolute":3},"largestRelative":1.5}""",
            tensors["valued"].GetProperty("values").GetRawText());
        Assert.Equal(JsonValueKind.Null, tensors["zero"].GetProperty("values").GetProperty("largest").ValueKind);
        Assert.Equal("""["bytes"]""", tensors["zero"].GetProperty("differences").GetRawText());
        Assert.Equal("""[{"key":"format","left":"pt"}]""", document.GetProperty("metadata").GetRawText());
    }

    [Fact]
    public async Task Values_that_json_has_no_numbers_for_are_strings()
    {
        using var folder = new TemporaryFolder();
        var left = folder.Write("a.safetensors", new SafetensorsBuilder().Add("a", "F32", [1], One).ToBytes());
        var right = folder.Write("b.safetensors", new SafetensorsBuilder().Add("a", "F32", [1], [0, 0, 128, 127]).ToBytes());
        var largest = (await ToolRun.OfAsync("diff", left, right, "--values", "--json")).Document("ilgpu-loader/diff/1")
            .GetProperty("tensors")[0].GetProperty("values").GetProperty("largest");
        Assert.Equal("""{"index":[0],"left":1,"right":"Infinity","absolute":"Infinity"}""", largest.GetRawText());
    }

    [Fact]
    public async Task What_cannot_be_compared_ends_with_5_unless_something_differs()
    {
        using var folder = new TemporaryFolder();
        var left = folder.Write("a.safetensors", new SafetensorsBuilder().Add("c", "C64", [1], new byte[8]).Add("x", "F32", [1], One).ToBytes());
        var same = await ToolRun.OfAsync("diff", left, left, "--values");
        Assert.Equal((0, "0 added, 0 removed, 0 changed, 2 equal\n", ""), (same.ExitCode, same.Out, same.Error));
        var right = folder.Write("b.safetensors", new SafetensorsBuilder().Add("c", "F32", [1], One).Add("x", "F32", [1], One).ToBytes());
        var run = await ToolRun.OfAsync("diff", left, right, "--values");
        Assert.Equal(6, run.ExitCode);
        Assert.StartsWith("error: tensor 'c' was not compared by value: ", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Values_of_four_bits_are_compared()
    {
        using var folder = new TemporaryFolder();
        var left = folder.Write("a.safetensors", new SafetensorsBuilder().Add("half", "F4", [2], [0x12]).ToBytes());
        var right = folder.Write("b.safetensors", new SafetensorsBuilder().Add("half", "F4", [2], [0x13]).ToBytes());
        Assert.Equal(0, (await ToolRun.OfAsync("diff", left, left, "--values")).ExitCode);
        Assert.Equal(6, (await ToolRun.OfAsync("diff", left, right, "--values")).ExitCode);
    }

    [Fact]
    public async Task Shards_make_no_difference()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", folder["one"])).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", folder["four"], "--shards", "4")).ExitCode);
        var run = await ToolRun.OfAsync(showProgress: true, CancellationToken.None, "diff", folder["one"], folder["four"], "--values");
        Assert.Equal((0, "0 added, 0 removed, 0 changed, 21 equal\n"), (run.ExitCode, run.Out));
    }

    [Theory]
    [InlineData(3, "none")]
    [InlineData(4, "broken.safetensors")]
    public async Task A_side_that_cannot_be_opened_ends_it(int exitCode, string name)
    {
        using var folder = new TemporaryFolder();
        var good = folder.Write("good.safetensors", SafetensorsBuilder.Tiny());
        folder.Write("broken.safetensors", SampleFiles.Truncated());
        foreach (var args in new[] { new[] { "diff", good, folder[name] }, ["diff", folder[name], good] })
        {
            var run = await ToolRun.OfAsync(args);
            Assert.Equal((exitCode, ""), (run.ExitCode, run.Out));
            Assert.Contains(folder[name], run.Error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Hostile_names_do_not_write_to_the_terminal()
    {
        using var folder = new TemporaryFolder();
        var hostile = folder.Write("a.safetensors", SampleFiles.HostileNames());
        var other = folder.Write("b.safetensors", SafetensorsBuilder.Tiny());
        var run = await ToolRun.OfAsync("diff", hostile, other, "--values");
        Assert.DoesNotContain(run.Out + run.Error, character => char.IsControl(character) && character != '\n');
        Assert.DoesNotContain('\u202e', run.Out);
    }

    private static (string Left, string Right) WriteBoth(TemporaryFolder folder) => (
        folder.Write("a.safetensors", new SafetensorsBuilder()
            .AddMetadata(new Dictionary<string, string> { ["format"] = "pt" })
            .Add("same", "F32", [1], One)
            .Add("gone", "F32", [1], One)
            .Add("typed", "BF16", [1], [128, 63])
            .Add("shaped", "F32", [1], One)
            .Add("valued", "F32", [2], [.. One, .. One])
            .Add("zero", "F32", [1], new byte[4])
            .ToBytes()),
        folder.Write("b.safetensors", new SafetensorsBuilder()
            .Add("new", "F32", [1], One)
            .Add("zero", "F32", [1], [0, 0, 0, 128])
            .Add("valued", "F32", [2], [.. One, 0, 0, 0, 192])
            .Add("shaped", "F32", [1, 1], One)
            .Add("typed", "F32", [1], One)
            .Add("same", "F32", [1], One)
            .ToBytes()));
}
