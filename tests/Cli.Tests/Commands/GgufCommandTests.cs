using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary>What the commands do with GGUF files beyond what they do with any checkpoint.</summary>
public sealed class GgufCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    // Every GGUF or ggml file of the public repositories: what 'verify' and 'inspect' end with, and why.
    [RealFilesFact]
    public async Task Real_files_have_the_exit_codes_of_the_table()
    {
        var table = new (string File, int Verify, int Inspect, string Why)[]
        {
            ("ggml-org+ggml/examples/superpoint/superpoint.gguf", 0, 0, "version 3, F16 and F32"),
            ("ggerganov+llama.cpp/models/ggml-vocab-llama.c50db67d.gguf", 0, 0, "version 1, a vocabulary without tensors"),
            ("ggerganov+llama.cpp/models/ggml-vocab-llama.63bfaf67.gguf", 0, 0, "version 1, a vocabulary without tensors"),
            ("las7+weight-inspect/tests/fixtures/empty.gguf", 0, 0, "version 3, no tensors"),
            ("las7+weight-inspect/tests/fixtures/tiny.gguf", 4, 4, "FileTruncated"),
            ("ggerganov+llama.cpp/example.gguf", 4, 5, "FUGG"),
            ("ggerganov+llama.cpp/models/ggml-vocab-llama.8548445f.gguf", 4, 5, "FUGG"),
            ("ggerganov+llama.cpp/models/ggml-vocab.bin", 4, 5, "'ggjt'"),
            ("ggerganov+llama.cpp/models/ggml-vocab-llama.bin", 4, 5, "'ggjt'"),
        };
        Assert.Equal(
            Directory.EnumerateFiles(RepositoryPaths.Real, "*.gguf", SearchOption.AllDirectories)
                .Concat(Directory.EnumerateFiles(RepositoryPaths.Real, "ggml-*.bin", SearchOption.AllDirectories))
                .Select(path => Path.GetRelativePath(RepositoryPaths.Real, path)).Order(StringComparer.Ordinal),
            table.Select(row => row.File).Order(StringComparer.Ordinal));
        foreach (var (file, verify, inspect, why) in table)
        {
            var path = Path.Combine(RepositoryPaths.Real, file);
            var verified = await ToolRun.OfAsync("verify", path);
            var inspected = await ToolRun.OfAsync("inspect", path);
            Assert.Equal((file, verify, inspect), (file, verified.ExitCode, inspected.ExitCode));
            Assert.Contains(verify == 0 ? $"ok {path}" : why, verified.Out, StringComparison.Ordinal);
            if (verify == 0)
            {
                Assert.Contains($"gguf {why.Split(',')[0]}", inspected.Out, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public async Task Unknown_types_are_shown_by_inspect_and_refused_by_all_others()
    {
        var path = _folder.Write("m.gguf", WithUnknownType());
        var text = await ToolRun.OfAsync("inspect", path);
        Assert.Equal(0, text.ExitCode);
        Assert.Matches(@"\n  odd +type 77\? +\[2, 3\]", text.Out);
        Assert.Contains("warning: tensor 'odd': its type 77", text.Error, StringComparison.Ordinal);
        Assert.Contains("odd (type 77?)", (await ToolRun.OfAsync("inspect", path, "--tree")).Out, StringComparison.Ordinal);
        Assert.DoesNotContain("odd", (await ToolRun.OfAsync("inspect", path, "--exclude", "odd")).Out, StringComparison.Ordinal);

        var json = (await ToolRun.OfAsync("inspect", path, "--json")).Document("ilgpu-loader/inspect/1");
        var tensor = Assert.Single(json.GetProperty("unreadableTensors").EnumerateArray());
        Assert.Equal(("odd", "type 77?", 77), (
            tensor.GetProperty("name").GetString(), tensor.GetProperty("type").GetString(), tensor.GetProperty("typeId").GetInt32()));
        Assert.Equal("a", Assert.Single(json.GetProperty("tensors").EnumerateArray()).GetProperty("name").GetString());

        var verified = await ToolRun.OfAsync("verify", path);
        Assert.Equal(4, verified.ExitCode);
        Assert.StartsWith($"invalid {path}: UnknownDType: tensor 'odd'", verified.Out, StringComparison.Ordinal);
        foreach (var arguments in new string[][]
        {
            ["load", path], ["hash", path], ["plan", path], ["show", path, "a"], ["diff", path, path], ["convert", path, _folder["out.gguf"]],
        })
        {
            var refused = await ToolRun.OfAsync(arguments);
            Assert.Equal((arguments[0], 4), (arguments[0], refused.ExitCode));
            Assert.Contains("tensor 'odd': its type 77", refused.Error, StringComparison.Ordinal);
        }

        Assert.False(File.Exists(_folder["out.gguf"]));
    }

    [Fact]
    public async Task Tensors_of_unknown_and_removed_types_are_shown_where_they_lie()
    {
        var path = _folder.Write(
            "m.gguf",
            new GgufBuilder().Tensor("a", 0, [1], new byte[4]).Tensor("b", 4, [32], new byte[20]).Tensor("c", 0, [1], new byte[4]).ToBytes());
        Assert.Matches(@"\n  a .*\n  b +Q4_2 \(removed\) +\[32\] .*\n  c ", (await ToolRun.OfAsync("inspect", path)).Out);
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("verify")]
    [InlineData("hash")]
    [InlineData("plan")]
    [InlineData("load")]
    [InlineData("show", "a")]
    [InlineData("diff", "m.gguf")]
    [InlineData("convert", "out.gguf")]
    public async Task Lenient_opens_what_is_out_of_order(string command, string? second = null)
    {
        string[] more = second is null ? [] : [second.Contains('.', StringComparison.Ordinal) ? _folder[second] : second];
        var path = _folder.Write("m.gguf", new GgufBuilder().Tensor("b", 0, [1], new byte[4], 32).Tensor("a", 0, [1], new byte[4], 0).ToBytes());
        var strict = await ToolRun.OfAsync([command, path, .. more]);
        Assert.Equal(4, strict.ExitCode);
        Assert.Contains("--lenient", strict.Out + strict.Error, StringComparison.Ordinal);
        Assert.Equal(0, (await ToolRun.OfAsync([command, path, .. more, "--lenient"])).ExitCode);
    }

    [Fact]
    public async Task Of_many_unknown_tensors_of_one_type_one_is_named_and_the_rest_counted()
    {
        var builder = new GgufBuilder().Tensor("fine", 0, [1], new byte[4]);
        for (var i = 0; i < 30; i++)
        {
            builder.Tensor($"odd{i}", i < 28 ? 77 : 4, [32], new byte[32]);
        }

        var run = await ToolRun.OfAsync("inspect", _folder.Write("m.gguf", builder.ToBytes()));
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(2, run.Error.Count(character => character == '\n'));
        Assert.Contains("tensor 'odd0' (and 27 more tensors): ", run.Error, StringComparison.Ordinal);
        Assert.Contains("tensor 'odd28' (and 1 more tensor): ", run.Error, StringComparison.Ordinal);
        Assert.Contains("odd27", run.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metadata_of_every_type_is_shown_and_long_arrays_are_shortened()
    {
        var path = _folder.Write("m.gguf", new GgufBuilder(3, bigEndian: true)
            .Add("u64", ulong.MaxValue).Add("i8", (sbyte)-1).Add("nan", float.NaN).Add("f32", 0.5f).Add("yes", true).Add("text", "line\nline")
            .Add("few", new[] { 1, 2, 3 }).Add("nested", new object[] { new[] { 1.5 }, new[] { "x" } })
            .Add("many", Enumerable.Range(0, 1000).Select(i => $"t{i}").ToArray()).ToBytes());
        var text = await ToolRun.OfAsync("inspect", path);
        Assert.Contains("gguf version 3, big-endian, alignment 32", text.Out, StringComparison.Ordinal);
        Assert.Matches(@"\n  many +STRING\[1000\] 't0', 't1', 't2', 't3', 't4', 't5', 't6', 't7', …\n", text.Out);
        Assert.Matches(@"\n  few +INT32\[3\] 1, 2, 3\n", text.Out);
        Assert.Contains("t999", (await ToolRun.OfAsync("inspect", path, "--full")).Out, StringComparison.Ordinal);

        var metadata = (await ToolRun.OfAsync("inspect", path, "--json")).Document("ilgpu-loader/inspect/1").GetProperty("metadata");
        Assert.Equal(ulong.MaxValue, metadata.GetProperty("u64").GetUInt64());
        Assert.Equal(-1, metadata.GetProperty("i8").GetInt32());
        Assert.Equal("NaN", metadata.GetProperty("nan").GetString());
        Assert.Equal(JsonValueKind.True, metadata.GetProperty("yes").ValueKind);
        Assert.Equal("[[1.5],[\"x\"]]", metadata.GetProperty("nested").GetRawText());
        Assert.Equal("""{"type":"STRING","count":1000,"first":["t0","t1","t2","t3","t4","t5","t6","t7"]}""", metadata.GetProperty("many").GetRawText());
        var full = (await ToolRun.OfAsync("inspect", path, "--json", "--full")).Document("ilgpu-loader/inspect/1");
        Assert.Equal(1000, full.GetProperty("metadata").GetProperty("many").GetArrayLength());
    }

    private static byte[] WithUnknownType() =>
        new GgufBuilder().Tensor("a", 0, [1], new byte[4]).Tensor("odd", 77, [3, 2], new byte[6]).ToBytes();
}
