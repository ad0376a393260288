using System.Text.Json;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class ConvertCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public ConvertCommandTests() => _folder.Write("mixed.safetensors", SampleFiles.Mixed());

    public void Dispose() => _folder.Dispose();

    private string Mixed => _folder["mixed.safetensors"];

    [Fact]
    public async Task A_file_keeps_every_tensor()
    {
        var run = await ToolRun.OfAsync("convert", Mixed, _folder["out.safetensors"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.StartsWith($"{_folder["out.safetensors"]}: 6 tensors, 40 B read, 40 B written as stored, in 1 file\n", run.Out, StringComparison.Ordinal);
        Assert.Contains(" GB/s read, ", run.Out, StringComparison.Ordinal);
        Assert.Contains("peak memory ", run.Out, StringComparison.Ordinal);
        Assert.Equal(await HashesAsync(Mixed), await HashesAsync(_folder["out.safetensors"]));
    }

    [Fact]
    public async Task The_document_says_what_was_written_where()
    {
        var run = await ToolRun.OfAsync(
            "convert", Mixed, _folder["out"], "--json", "--dtype", "f16", "--exclude", "half*", "--max-shard-size", "16");
        var document = run.Document("ilgpu-loader/convert/1");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal(
            ["schema", "path", "output", "dtype", "device", "tensors", "convertedTensors", "ties", "bytesRead", "bytesWritten", "files", "carriedFiles", "overflows",
                "lanes", "seconds", "readGigabytesPerSecond", "writeGigabytesPerSecond", "peakMemoryBytes", "format", "duplicatedTensors", "duplicatedBytes",
                "omittedMetadata"],
            document.EnumerateObject().Select(field => field.Name));
        Assert.Equal((Mixed, _folder["out"], "f16", "host"), (Text("path"), Text("output"), Text("dtype"), Text("device")));
        Assert.Equal((5, 2, 0), (Number("tensors"), Number("convertedTensors"), Number("ties")));
        // F32 [2] and BF16 [2] become F16 [2]; I64 [2], BOOL [2] and C64 [1] stay.
        Assert.Equal((38, 34), (Number("bytesRead"), Number("bytesWritten")));
        var files = document.GetProperty("files").EnumerateArray().Select(file => file.GetString()!).ToArray();
        Assert.Equal(Directory.EnumerateFiles(_folder["out"], "*.safetensors").Select(path => Path.GetFileName(path)!).Order(), files);
        Assert.True(files.Length > 1);
        Assert.Equal(0, (await ToolRun.OfAsync("verify", _folder["out"])).ExitCode);

        string Text(string name) => document.GetProperty(name).GetString()!;

        int Number(string name) => document.GetProperty(name).GetInt32();
    }

    [Theory]
    [InlineData(3, "Unreadable", "none", "out")]
    [InlineData(3, "Unreadable", "mixed.safetensors", "mixed.safetensors")]
    [InlineData(3, "Unreadable", "mixed.safetensors", "none/out.safetensors")]
    [InlineData(4, "HeaderNotJson", "text.safetensors", "out")]
    [InlineData(2, "Usage", "mixed.safetensors", "out", "--dtype", "u8")]
    [InlineData(2, "Usage", "mixed.safetensors", "out", "--max-shard-size", "many")]
    [InlineData(2, "Usage", "mixed.safetensors", "out", "--max-shard-size", "0")]
    [InlineData(2, "Usage", "mixed.safetensors", "out.safetensors", "--max-shard-size", "10")]
    [InlineData(2, "Usage", "mixed.safetensors", "out", "--device", "meta")]
    [InlineData(2, "Usage", "mixed.safetensors", "out", "--device", "host,cuda:0")]
    [InlineData(2, "Usage", "mixed.safetensors", "out", "--device", "")]
    [InlineData(2, "Usage", "mixed.safetensors", "out.safetensors", "--format", "gguf")]
    [InlineData(2, "Usage", "mixed.safetensors", "out.gguf", "--format", "safetensors")]
    [InlineData(2, "Usage", "mixed.safetensors", "out", "--format", "onnx")]
    [InlineData(5, "Unsupported", "mixed.safetensors", "out.gguf")]
    [InlineData(7, "DeviceUnavailable", "mixed.safetensors", "out", "--device", "cuda:99")]
    public async Task Failures_have_their_exit_code_and_leave_nothing(int exitCode, string code, string path, string output, params string[] options)
    {
        _folder.Write("text.safetensors", SafetensorsBuilder.File("{]"));
        var before = Entries();
        var run = await ToolRun.OfAsync(["convert", _folder[path], _folder[output], "--json", .. options]);
        Assert.Equal(code, run.ErrorDocument(code, exitCode).GetProperty("code").GetString());
        Assert.Equal(before, Entries());
    }

    [Fact]
    public async Task Values_beyond_the_dtype_are_warned_about_with_their_tensors()
    {
        byte[] thousand = [0, 0, 0x7a, 0x44];
        _folder.Write("large.safetensors", new SafetensorsBuilder().Add("a\u001b", "F32", [2], [.. thousand, .. thousand]).Add("b", "F32", [1], thousand).ToBytes());
        var run = await ToolRun.OfAsync("convert", _folder["large.safetensors"], _folder["out.safetensors"], "--dtype", "f8_e4m3", "--json");
        Assert.Equal(0, run.ExitCode);
        Assert.Equal("warning: 3 values of 2 tensors are beyond f8_e4m3 and became infinite or NaN: 'a\\u001b' (2), 'b' (1).\n", run.Error);
        var overflows = run.Document("ilgpu-loader/convert/1").GetProperty("overflows");
        Assert.Equal([("a\u001b", 2), ("b", 1)], overflows.EnumerateArray().Select(entry => (entry.GetProperty("name").GetString()!, entry.GetProperty("values").GetInt32())));
    }

    [Fact]
    public async Task Force_replaces_a_checkpoint_and_nothing_else()
    {
        Assert.Equal(0, (await ToolRun.OfAsync("convert", Mixed, _folder["out"])).ExitCode);
        Assert.Equal(3, (await ToolRun.OfAsync("convert", Mixed, _folder["out"])).ExitCode);
        Assert.Equal(0, (await ToolRun.OfAsync("convert", Mixed, _folder["out"], "--force", "--include", "block.0*")).ExitCode);
        Assert.Equal(2, (await HashesAsync(_folder["out"])).Length);
        _folder.Write("settings/config.json", [1]);
        var settings = await ToolRun.OfAsync("convert", Mixed, _folder["settings"], "--force");
        Assert.Equal((2, true), (settings.ExitCode, File.Exists(_folder["settings/config.json"])));
        Assert.Contains("has no weights", settings.Error, StringComparison.Ordinal);
        foreach (var other in (string[])["my-other-lora.safetensors", "model-1-of-2.safetensors"])
        {
            _folder.Write($"out/{other}", [1]);
            Assert.Equal(2, (await ToolRun.OfAsync("convert", Mixed, _folder["out"], "--force")).ExitCode);
            File.Delete(_folder[$"out/{other}"]);
        }

        _folder.Write("out/thesis.tex", [1]);
        var run = await ToolRun.OfAsync("convert", Mixed, _folder["out"], "--force");
        Assert.Equal(2, run.ExitCode);
        Assert.Contains("'thesis.tex'", run.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Choosing_nothing_and_converting_quantised_numbers_are_warned_about()
    {
        _folder.Write("model/model.safetensors", SafetensorsBuilder.Tiny());
        _folder.Write("model/config.json", JsonSerializer.SerializeToUtf8Bytes(new { quantization_config = new { quant_method = "fp8" } }));
        var nothing = await ToolRun.OfAsync("convert", _folder["model"], _folder["nothing"], "--include", "x");
        Assert.Equal((0, "warning: the only tensor is not chosen by --include and --exclude.\n"), (nothing.ExitCode, nothing.Error));
        var scaled = await ToolRun.OfAsync("convert", _folder["model"], _folder["scaled"], "--dtype", "bf16");
        Assert.Equal(0, scaled.ExitCode);
        Assert.StartsWith("warning: the configuration says that the weights are quantised (fp8)", scaled.Error, StringComparison.Ordinal);
        Assert.Equal("", (await ToolRun.OfAsync("convert", _folder["model"], _folder["quiet"], "--dtype", "bf16", "--quiet")).Error);
    }

    [Fact]
    public async Task Gguf_is_written_and_read_again_with_every_value()
    {
        string[] chosen = ["--include", "*32", "--include", "*16", "--include", "*64"];
        Assert.Equal((0, ""), Ended(await ToolRun.OfAsync(["convert", Mixed, _folder["kept.safetensors"], .. chosen])));
        var expected = await HashesAsync(_folder["kept.safetensors"]);
        Assert.Equal(3, expected.Length);
        Assert.Equal((0, ""), Ended(await ToolRun.OfAsync(["convert", Mixed, _folder["out.gguf"], .. chosen])));
        Assert.Equal(expected, await HashesAsync(_folder["out.gguf"]));
        Assert.Equal((0, ""), Ended(await ToolRun.OfAsync("convert", _folder["out.gguf"], _folder["parts"], "--format", "gguf", "--max-shard-size", "8")));
        Assert.Equal(
            Enumerable.Range(1, 3).Select(part => _folder[$"parts/model-{part:D5}-of-00003.gguf"]),
            Directory.EnumerateFileSystemEntries(_folder["parts"]).Order(StringComparer.Ordinal));
        Assert.Equal(0, (await ToolRun.OfAsync("verify", _folder["parts"])).ExitCode);
        // Any part opens them all.
        Assert.Equal((0, ""), Ended(await ToolRun.OfAsync("convert", _folder["parts/model-00002-of-00003.gguf"], _folder["back.safetensors"])));
        Assert.Equal(expected, await HashesAsync(_folder["back.safetensors"]));
        // A folder of parts is a checkpoint that may be replaced.
        Assert.Equal((0, ""), Ended(await ToolRun.OfAsync("convert", _folder["out.gguf"], _folder["parts"], "--format", "gguf", "--force")));
        Assert.Equal([_folder["parts/model.gguf"]], Directory.EnumerateFileSystemEntries(_folder["parts"]));

        static (int ExitCode, string Error) Ended(ToolRun run) => (run.ExitCode, run.Error);
    }

    [Theory]
    [InlineData("out.pt", "a PyTorch file", false)]
    [InlineData("out.npz", "an npz file", false)]
    [InlineData("out.safetensors", "", true)]
    [InlineData("out.gguf", "", true)]
    public async Task Quantised_tensors_that_lose_their_scale_are_named(string output, string format, bool keepsScales)
    {
        var scheme = PickleBytes.Tuple(PickleBytes.Global("torch", "per_tensor_affine"), PickleBytes.Real(0.5), PickleBytes.Whole(3));
        var pickle = PickleBytes.Dictionary(
            ("q", PickleBytes.Call(
                "torch._utils", "_rebuild_qtensor", PickleBytes.Storage("QInt8Storage", "0", 4), PickleBytes.Whole(0), PickleBytes.Numbers(4), PickleBytes.Numbers(1),
                scheme, PickleBytes.Truth(false), PickleBytes.Call("collections", "OrderedDict"))),
            ("w", PickleBytes.Tensor(PickleBytes.Storage("CharStorage", "1", 4), 0, [4], [1])));
        _folder.Write("model.pt", new TorchBuilder().AddStorage("0", [1, 2, 3, 4]).AddStorage("1", [5, 6, 7, 8]).ToArchive(pickle));
        var run = await ToolRun.OfAsync("convert", _folder["model.pt"], _folder[output], "--json");
        Assert.Equal(0, run.ExitCode);
        var document = run.Document("ilgpu-loader/convert/1");
        if (keepsScales)
        {
            Assert.Equal("", run.Error);
            Assert.False(document.TryGetProperty("unscaledTensors", out _));
            return;
        }

        Assert.Equal(
            $"""
            warning: 4 metadata entries have no place in {format} and are left out: 'q.dtype', 'q.qscheme', 'q.q_scale' and 1 more.
            warning: 1 quantised tensor was written as stored integers, which mean nothing without scale and zero point, and these have no place in {format}: 'q'.

            """,
            run.Error);
        Assert.Equal("""["q"]""", document.GetProperty("unscaledTensors").GetRawText());
        // One that is not written is not named.
        run = await ToolRun.OfAsync("convert", _folder["model.pt"], _folder[$"w-{output}"], "--include", "w", "--json");
        Assert.False(run.Document("ilgpu-loader/convert/1").TryGetProperty("unscaledTensors", out _));
    }

    [Fact]
    public async Task Views_of_a_pytorch_file_are_written_in_full_and_come_back_with_their_elements()
    {
        var bytes = Enumerable.Range(0, 96).Select(i => (byte)i).ToArray();
        var storage = PickleBytes.Storage("FloatStorage", "0", 24);
        var pickle = PickleBytes.Dictionary(
            ("t", PickleBytes.Tensor(storage, 0, [4, 6], [6, 1])),
            ("turned", PickleBytes.Tensor(storage, 0, [6, 4], [1, 6])),
            ("expanded", PickleBytes.Tensor(storage, 2, [3, 2], [0, 20])));
        _folder.Write("model.pt", new TorchBuilder().AddStorage("0", bytes).ToArchive(pickle));
        string? expected = null;
        foreach (var output in new[] { "out.pt", "out.npz", "out.safetensors", "out.gguf" })
        {
            var run = await ToolRun.OfAsync("convert", _folder["model.pt"], _folder[output]);
            Assert.Equal(
                (0, "warning: views are written in full, each by itself: 3 tensors with elements that are stored once and seen several times take 120 B more.\n"),
                (run.ExitCode, run.Error));
            var diff = await ToolRun.OfAsync("diff", _folder["model.pt"], _folder[output], "--values");
            Assert.Equal((0, ""), (diff.ExitCode, diff.Error));
            var hashes = await ToolRun.OfAsync("hash", _folder[output], "--json");
            var values = string.Join(
                '\n',
                hashes.Document("ilgpu-loader/hash/1").GetProperty("files")[0].GetProperty("tensors").EnumerateArray().Select(tensor => tensor.ToString()).Order());
            Assert.Equal(expected ??= values, values);
        }
    }

    private string[] Entries() => [.. Directory.EnumerateFileSystemEntries(_folder.Path, "*", SearchOption.AllDirectories).Order()];

    private static async Task<string[]> HashesAsync(string path)
    {
        var document = (await ToolRun.OfAsync("hash", path, "--json")).Document("ilgpu-loader/hash/1");
        return [.. document.GetProperty("files")[0].GetProperty("tensors").EnumerateArray().Select(tensor => tensor.ToString()).Order()];
    }
}
