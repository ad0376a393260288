using IlgpuLoader.Formats;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

/// <summary><c>convert</c> with ranks, other names and the layout of a model.</summary>
public sealed class ConvertModelTests : IAsyncLifetime, IDisposable
{
    private static readonly LlamaOptions Llama = new() { Layers = 1, Hidden = 64, Intermediate = 96, Heads = 8, KeyValueHeads = 4, Vocabulary = 101 };

    private readonly TemporaryFolder _folder = new();

    public async Task InitializeAsync()
    {
        await LlamaSynthesizer.WriteAsync(_folder["m"], Llama);
        _folder.Write("twice.json", """{"substring": {"q_proj": "k_proj"}}""");
        _folder.Write("map.json", """{"prefix": {"model.": "net."}, "suffix": {"norm.weight": null}}""");
        _folder.Write("tiny.gguf", GgufBuilder.Tiny().ToBytes());
        _folder.Write("short/config.json", File.ReadAllBytes(_folder["m/config.json"]));
        _folder.Write("short/model.safetensors", SafetensorsBuilder.Tiny());
    }

    public Task DisposeAsync() => Task.CompletedTask;

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_rank_gets_its_share_of_each_tensor()
    {
        var run = await ToolRun.OfAsync("convert", _folder["m"], _folder["out"], "--tp", "4", "--rank", "3", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/convert/1");
        Assert.Equal("""{"worldSize":4,"rank":3}""", document.GetProperty("tensorParallel").GetRawText());
        Assert.Equal((12, 9), (document.GetProperty("tensors").GetInt32(), document.GetProperty("slicedTensors").GetInt32()));
        await using var written = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Equal(new Shape(64, 24), written["model.layers.0.mlp.down_proj.weight"].Shape);
        Assert.Equal(new Shape(23, 64), written["lm_head.weight"].Shape);
        var text = await ToolRun.OfAsync("convert", _folder["m"], _folder["out.safetensors"], "--tp", "4", "--rank", "3");
        Assert.Contains(": 12 tensors, ", text.Out, StringComparison.Ordinal);
        Assert.Contains(" written as stored, 9 of them shares of rank 3 of 4, in 1 file\n", text.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Names_without_a_share_are_warned_about()
    {
        var run = await ToolRun.OfAsync("convert", _folder["short"], _folder["out.safetensors"], "--tp", "2", "--rank", "0");
        Assert.Equal((0, "warning: the only tensor has no name that --tp splits: every rank has all of it.\n"), (run.ExitCode, run.Error));
    }

    [Fact]
    public async Task A_map_gives_other_names_and_leaves_tensors_out()
    {
        var run = await ToolRun.OfAsync("convert", _folder["m"], _folder["out.safetensors"], "--map", _folder["map.json"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        await using var written = await Checkpoint.OpenAsync(_folder["out.safetensors"]);
        Assert.Equal(9, written.Tensors.Length);
        Assert.Contains("net.layers.0.self_attn.q_proj.weight", written.Tensors.Select(tensor => tensor.Name));
        Assert.DoesNotContain(written.Tensors, tensor => tensor.Name.EndsWith("norm.weight", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_model_is_written_as_its_architecture_packs_it()
    {
        var run = await ToolRun.OfAsync("convert", _folder["m"], _folder["out"], "--model", "--tp", "2", "--rank", "1", "--dtype", "f32", "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/convert-model/1");
        Assert.Equal(
            ["schema", "path", "weights", "output", "format", "model", "totals", "writtenParameters", "ties", "batches", "bytesRead", "bytesWritten", "files", "carriedFiles",
                "omittedMetadata", "seconds", "readGigabytesPerSecond", "writeGigabytesPerSecond", "peakMemoryBytes"],
            document.EnumerateObject().Select(field => field.Name));
        Assert.Equal("""{"worldSize":2,"rank":1}""", document.GetProperty("model").GetProperty("tensorParallel").GetRawText());
        Assert.Equal(["config.json"], document.GetProperty("carriedFiles").EnumerateArray().Select(name => name.GetString()!));
        await using var written = await Checkpoint.OpenAsync(_folder["out"]);
        Assert.Equal(document.GetProperty("writtenParameters").GetInt32(), written.Tensors.Length);
        Assert.Equal(document.GetProperty("bytesWritten").GetInt64(), written.TensorBytes);
        // Of eight heads of eight rows four, and of four for keys and values two each.
        Assert.Equal((DType.F32, new Shape(64, 64)), (written["model.layers.0.self_attn.qkv_proj.weight"].DType, written["model.layers.0.self_attn.qkv_proj.weight"].Shape));
        Assert.Equal(new Shape(96, 64), written["model.layers.0.mlp.gate_up_proj.weight"].Shape);
        Assert.Equal("float32", written.Config!.TorchDType);
        var text = await ToolRun.OfAsync("convert", _folder["m"], _folder["out.safetensors"], "--model", "--device", "host");
        Assert.StartsWith($"{_folder["m"]}: LlamaForCausalLM in BF16: 9 parameters, ", text.Out, StringComparison.Ordinal);
        Assert.Contains($"{_folder["out.safetensors"]}: 9 parameters, ", text.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Weights_that_lie_elsewhere_get_the_configuration_of_the_path()
    {
        Directory.CreateDirectory(_folder["w"]);
        File.Move(_folder["m/model.safetensors"], _folder["w/model.safetensors"]);
        _folder.Write("m/tokenizer.json", "{}");
        var run = await ToolRun.OfAsync("convert", _folder["m"], _folder["out"], "--model", "--weights", _folder["w"]);
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.True(File.Exists(_folder["out/tokenizer.json"]));
        Assert.True(File.Exists(_folder["out/config.json"]));
    }

    [Fact]
    public async Task What_is_missing_of_a_model_is_an_error_or_a_warning()
    {
        var strict = await ToolRun.OfAsync("convert", _folder["short"], _folder["out"], "--model");
        Assert.Equal(5, strict.ExitCode);
        Assert.Contains("nothing fills parameter 'model.embed_tokens.weight'", strict.Error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["out"]));
        var tolerant = await ToolRun.OfAsync("convert", _folder["short"], _folder["out"], "--model", "--tolerant");
        Assert.Equal(0, tolerant.ExitCode);
        Assert.Contains("warning: nothing fills parameter 'model.norm.weight' of shape [64]", tolerant.Error, StringComparison.Ordinal);
        Assert.Contains("  1 go nowhere: a\n", tolerant.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(2, "--rank needs --tp", "m", "out", "--rank", "1")]
    [InlineData(2, "there is no rank 2", "m", "out", "--tp", "2", "--rank", "2")]
    [InlineData(2, "--strict is for the layout of a model", "m", "out", "--strict")]
    [InlineData(2, "--weights is for the layout of a model", "m", "out", "--weights", "m")]
    [InlineData(2, "give --model too", "tiny.gguf", "out", "--map", "{map}")]
    [InlineData(2, "written as safetensors only, not as pt", "m", "out", "--model", "--format", "pt")]
    [InlineData(2, "is the name of a GGUF file", "m", "out.gguf", "--model")]
    [InlineData(2, "--device takes host", "m", "out", "--model", "--device", "cuda:0")]
    [InlineData(2, "more than a shard of 10", "m", "out.safetensors", "--model", "--max-shard-size", "10")]
    [InlineData(5, "cannot be split over 3 ranks", "m", "out", "--tp", "3", "--rank", "0")]
    [InlineData(5, "both 'model.layers.0.self_attn.k_proj.weight' and 'model.layers.0.self_attn.q_proj.weight' become", "m", "out", "--map", "{twice}")]
    public async Task Failures_say_what_is_wrong_and_leave_nothing(int exitCode, string message, string path, string output, params string[] options)
    {
        var before = Directory.EnumerateFileSystemEntries(_folder.Path).Order().ToArray();
        string[] args = [.. options.Select(option => option switch { "{map}" => _folder["map.json"], "{twice}" => _folder["twice.json"], _ => option })];
        var run = await ToolRun.OfAsync(["convert", _folder[path], _folder[output], .. args]);
        Assert.Equal(exitCode, run.ExitCode);
        Assert.Contains(message, run.Error, StringComparison.Ordinal);
        Assert.Equal(before, Directory.EnumerateFileSystemEntries(_folder.Path).Order());
    }
}
