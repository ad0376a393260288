using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class SynthCommandTests
{
    [Fact]
    public async Task The_same_options_and_seed_give_the_same_bytes()
    {
        using var folder = new TemporaryFolder();
        await SynthesiseAsync(folder["a"], "--shards", "2", "--seed", "7");
        await SynthesiseAsync(folder["b"], "--shards", "2", "--seed", "7");
        await SynthesiseAsync(folder["c"], "--shards", "2", "--seed", "8");
        string[] names = [.. Directory.EnumerateFiles(folder["a"]).Select(path => Path.GetFileName(path)!).Order(StringComparer.Ordinal)];
        Assert.Equal(
            ["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json"], names);
        Assert.All(names, name => Assert.Equal(Bytes(folder, "a", name), Bytes(folder, "b", name)));
        Assert.All(names[1..3], name => Assert.NotEqual(Bytes(folder, "a", name), Bytes(folder, "c", name)));
    }

    [Fact]
    public async Task Text_and_document_say_what_was_written()
    {
        using var folder = new TemporaryFolder();
        var text = await SynthesiseAsync(folder["a"], "--shards", "3");
        Assert.Matches(@": 21 tensors, 309 KiB, 3 files, \d+\.\d s\n$", text.Out);
        Assert.Equal("", text.Error);
        var document = (await SynthesiseAsync(folder["b"], "--tied", "--json")).Document("ilgpu-loader/synth/1");
        Assert.Equal(folder["b"], document.GetProperty("path").GetString());
        Assert.Equal(20, document.GetProperty("tensors").GetInt32());
        Assert.Equal(316032 - (512 * 64 * 2), document.GetProperty("bytes").GetInt64());
        Assert.True(document.GetProperty("seconds").GetDouble() >= 0);
    }

    [Theory]
    [InlineData("bf16", "BF16", 1)]
    [InlineData("f16", "F16", 1)]
    [InlineData("f32", "F32", 2)]
    [InlineData("f64", "F64", 4)]
    public async Task The_dtype_is_that_of_every_tensor(string option, string dtype, int factor)
    {
        using var folder = new TemporaryFolder();
        await SynthesiseAsync(folder["a"], "--dtype", option);
        var totals = (await ToolRun.OfAsync("inspect", folder["a"], "--json")).Document("ilgpu-loader/inspect/1").GetProperty("totals");
        var entry = Assert.Single(totals.GetProperty("byDtype").EnumerateArray());
        Assert.Equal((dtype, 316032L * factor), (entry.GetProperty("dtype").GetString(), entry.GetProperty("bytes").GetInt64()));
        Assert.Equal(0, (await ToolRun.OfAsync("verify", folder["a"])).ExitCode);
    }

    [Fact]
    public async Task What_is_there_is_kept_unless_it_is_to_be_replaced()
    {
        using var folder = new TemporaryFolder();
        await SynthesiseAsync(folder["a"]);
        var before = Bytes(folder, "a", "model.safetensors");
        var refused = await ToolRun.OfAsync("synth", "llama", folder["a"], "--seed", "2", "--json");
        refused.ErrorDocument("Unreadable", 3);
        Assert.Equal(before, Bytes(folder, "a", "model.safetensors"));
        await SynthesiseAsync(folder["a"], "--seed", "2", "--force");
        Assert.NotEqual(before, Bytes(folder, "a", "model.safetensors"));
        Assert.Equal([folder["a"]], Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_folder_with_anything_else_in_it_is_not_replaced()
    {
        using var folder = new TemporaryFolder();
        folder.Write("home/thesis.txt", "years of work");
        folder.Write("tree/below/model.safetensors", SafetensorsBuilder.Tiny());
        foreach (var target in new[] { folder["home"], folder["tree"] })
        {
            var run = await ToolRun.OfAsync("synth", "llama", target, "--force");
            Assert.Equal((2, ""), (run.ExitCode, run.Out));
            Assert.Contains("--force", run.Error, StringComparison.Ordinal);
        }

        Assert.True(File.Exists(folder["home/thesis.txt"]));
        Assert.True(File.Exists(folder["tree/below/model.safetensors"]));
    }

    [Theory]
    [InlineData("--layers", "0")]
    [InlineData("--hidden", "7")]
    [InlineData("--shards", "1000")]
    [InlineData("--shards", "0")]
    [InlineData("--kv-heads", "3")]
    [InlineData("--vocab", "-1")]
    [InlineData("--seed", "-1")]
    [InlineData("--dtype", "i8")]
    public async Task Sizes_that_do_not_fit_each_other_are_usage_errors_and_leave_nothing(string option, string value)
    {
        using var folder = new TemporaryFolder();
        (await ToolRun.OfAsync("synth", "llama", folder["a"], option, value, "--json")).ErrorDocument("Usage", 2);
        Assert.Empty(Directory.EnumerateFileSystemEntries(folder.Path));
    }

    [Fact]
    public async Task A_target_below_a_file_is_an_error_and_leaves_nothing()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("file", "text");
        var run = await ToolRun.OfAsync("synth", "llama", Path.Combine(file, "a"));
        Assert.Equal(3, run.ExitCode);
        Assert.Equal([file], Directory.EnumerateFileSystemEntries(folder.Path));
    }

    private static async Task<ToolRun> SynthesiseAsync(string path, params string[] options)
    {
        var run = await ToolRun.OfAsync(["synth", "llama", path, .. options]);
        Assert.Equal(0, run.ExitCode);
        return run;
    }

    private static byte[] Bytes(TemporaryFolder folder, string checkpoint, string name) => File.ReadAllBytes(Path.Combine(folder[checkpoint], name));
}
