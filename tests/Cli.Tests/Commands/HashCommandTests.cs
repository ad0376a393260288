using System.Security.Cryptography;
using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class HashCommandTests
{
    [Fact]
    public async Task Stored_bytes_are_hashed_whatever_the_dtype()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("hash", file, "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var hashed = Assert.Single(run.Document("ilgpu-loader/hash/1").GetProperty("files").EnumerateArray());
        Assert.Equal(["path", "tensors"], hashed.EnumerateObject().Select(field => field.Name));
        Assert.Equal(file, hashed.GetProperty("path").GetString());
        Assert.Equal(
            [
                ("block.0.f32", "F32", "[2]", Sha256(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)),
                ("block.0.bf16", "BF16", "[2]", Sha256(0x80, 0x3f, 0, 0xc0)),
                ("block.1.i64", "I64", "[2]", Sha256(1, 0, 0, 0, 0, 0, 0, 0, 0xfe, 255, 255, 255, 255, 255, 255, 255)),
                ("block.1.bool", "BOOL", "[2]", Sha256(1, 0)),
                ("complex", "C64", "[1]", Sha256(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)),
                ("half.bytes", "F4", "[2,2]", Sha256(0x12, 0x34)),
            ],
            hashed.GetProperty("tensors").EnumerateArray().Select(Fields));
    }

    [Fact]
    public async Task Values_are_hashed_as_float32()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("hash", file, "--values", "f32", "--device", "host", "--json");
        Assert.Equal(0, run.ExitCode);
        var tensors = run.Document("ilgpu-loader/hash/1").GetProperty("files")[0].GetProperty("tensors").EnumerateArray().ToArray();
        var oneAndMinusTwo = Sha256(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0);

        // The last is F4, two a byte from the low half on: 1, 0.5, 2, 1.5.
        var halfBytes = Sha256(0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f, 0, 0, 0, 0x40, 0, 0, 0xc0, 0x3f);
        Assert.Equal(
            [oneAndMinusTwo, oneAndMinusTwo, oneAndMinusTwo, Sha256(0, 0, 0x80, 0x3f, 0, 0, 0, 0), oneAndMinusTwo, halfBytes],
            tensors.Select(tensor => tensor.GetProperty("sha256").GetString()));
        // The stored dtype and shape stay.
        Assert.Equal(["BF16", "I64"], tensors[1..3].Select(tensor => tensor.GetProperty("dtype").GetString()));
        Assert.All(tensors, tensor => Assert.False(tensor.TryGetProperty("error", out _)));
    }

    [Fact]
    public async Task Text_has_the_hash_first()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", new SafetensorsBuilder()
            .Add("a", "U8", [3], "abc"u8).Add("longer", "F4", [2], [0x12]).Add("none", "F32", [0, 2], []).ToBytes());
        var run = await ToolRun.OfAsync("hash", file, "--values", "f32");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(
            $"""
            {Sha256(0, 0, 0xc2, 0x42, 0, 0, 0xc4, 0x42, 0, 0, 0xc6, 0x42)}  a       U8   [3]
            {Sha256(0, 0, 0x80, 0x3f, 0, 0, 0, 0x3f)}  longer  F4   [2]
            {Sha256()}  none    F32  [0, 2]

            """,
            run.Out);
    }

    [Fact]
    public async Task Content_has_the_same_hash_in_one_file_and_in_shards()
    {
        using var folder = new TemporaryFolder();
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", folder["one"])).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("synth", "llama", folder["four"], "--shards", "4")).ExitCode);
        var run = await ToolRun.OfAsync("hash", folder["one"], folder["four"], "--json");
        var files = run.Document("ilgpu-loader/hash/1").GetProperty("files").EnumerateArray()
            .Select(file => file.GetProperty("tensors").EnumerateArray().Select(Fields).OrderBy(fields => fields.Name, StringComparer.Ordinal).ToArray())
            .ToArray();
        Assert.Equal(21, files[0].Length);
        Assert.Equal(files[0], files[1]);
        Assert.Equal(21, files[0].Select(fields => fields.Sha256).Distinct().Count());
    }

    [Fact]
    public async Task Several_paths_are_all_hashed_and_the_highest_exit_code_counts()
    {
        using var folder = new TemporaryFolder();
        var good = folder.Write("good.safetensors", SafetensorsBuilder.Tiny());
        var broken = folder.Write("broken.safetensors", SampleFiles.Truncated());
        var hdf5 = folder.Write("m.h5", SampleFiles.Hdf5());
        var json = await ToolRun.OfAsync("hash", folder["none"], broken, hdf5, good, "--json");
        Assert.Equal(5, json.ExitCode);
        var files = json.Document("ilgpu-loader/hash/1").GetProperty("files").EnumerateArray().ToArray();
        Assert.Equal([true, true, true, false], files.Select(file => file.TryGetProperty("error", out _)));
        Assert.Equal([0, 0, 0, 1], files.Select(file => file.GetProperty("tensors").GetArrayLength()));
        Assert.Equal(3, json.Error.Split("error: ").Length - 1);

        var text = await ToolRun.OfAsync("hash", broken, good);
        Assert.Equal(4, text.ExitCode);
        Assert.Equal($"{good}:\n{Sha256(0, 0, 0x80, 0x3f)}  a  F32  [1]\n", text.Out);
        Assert.StartsWith($"error: {broken}: ", text.Error, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Usage", 2, "--device", "meta", "--values", "f32")]
    [InlineData("Usage", 2, "--device", "cuda:0,cuda:1", "--values", "f32")]
    [InlineData("DeviceUnavailable", 7, "--device", "none")]
    [InlineData("DeviceUnavailable", 7, "--device", "none", "--values", "f32")]
    public async Task A_device_that_cannot_hash_is_refused_before_any_work(string code, int exitCode, params string[] options)
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("a.safetensors", SafetensorsBuilder.Tiny());
        var run = await ToolRun.OfAsync(["hash", file, .. options, "--json"]);
        run.ErrorDocument(code, exitCode);
    }

    private static (string? Name, string? DType, string Shape, string? Sha256) Fields(JsonElement tensor) => (
        tensor.GetProperty("name").GetString(),
        tensor.GetProperty("dtype").GetString(),
        tensor.GetProperty("shape").GetRawText(),
        tensor.GetProperty("sha256").GetString());

    private static string Sha256(params byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
