using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class InspectCommandTests
{
    private const string Sharded = """
        DIR/m: safetensors, 2 files
          model-00001-of-00002.safetensors  2.79 KiB
          model-00002-of-00002.safetensors  1.30 KiB

        metadata
          format  pt

        config
          architecture     LlamaForCausalLM
          model type       llama
          dtype            float16
          layers           1
          hidden size      8
          heads            4
          key/value heads  2
          vocabulary       32

        tensors
        """;

    [Fact]
    public async Task A_device_computes_the_same_statistics_and_one_that_cannot_is_refused()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var expected = await ToolRun.OfAsync("inspect", file, "--stats");
        foreach (var device in new[] { "host", "auto" })
        {
            var run = await ToolRun.OfAsync("inspect", file, "--stats", "--device", device);
            Assert.Equal((0, expected.Out), (run.ExitCode, run.Out));
        }

        Assert.Equal(2, (await ToolRun.OfAsync("inspect", file, "--stats", "--device", "meta")).ExitCode);
        Assert.Equal(7, (await ToolRun.OfAsync("inspect", file, "--stats", "--device", "cuda:99")).ExitCode);
    }

    [Fact]
    public async Task Text_shows_files_metadata_configuration_tensors_and_totals()
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("inspect", await SynthesiseAsync(folder));
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        Assert.Equal(
            Sharded + """

              model.embed_tokens.weight                       F16  [32, 8]  512 B
              model.layers.0.input_layernorm.weight           F16  [8]       16 B
              model.layers.0.mlp.gate_proj.weight             F16  [32, 8]  512 B
              model.layers.0.mlp.up_proj.weight               F16  [32, 8]  512 B
              model.layers.0.post_attention_layernorm.weight  F16  [8]       16 B
              model.layers.0.self_attn.k_proj.weight          F16  [4, 8]    64 B
              model.layers.0.self_attn.o_proj.weight          F16  [8, 8]   128 B
              model.layers.0.self_attn.q_proj.weight          F16  [8, 8]   128 B
              model.layers.0.self_attn.v_proj.weight          F16  [4, 8]    64 B
              lm_head.weight                                  F16  [32, 8]  512 B
              model.layers.0.mlp.down_proj.weight             F16  [8, 32]  512 B
              model.norm.weight                               F16  [8]       16 B

            totals
                   tensors  parameters     bytes  bits/weight
              F16       12       1,496  2.92 KiB        16.00
              all       12       1,496  2.92 KiB        16.00

            """,
            run.Out.Replace(folder.Path, "DIR", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Tree_shows_branches_with_their_totals_in_natural_order()
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("inspect", await SynthesiseAsync(folder), "--tree");
        Assert.Equal(
            Sharded + """

              lm_head.weight                       F16 [32, 8]     512 B
              model                                11 tensors   2.42 KiB
                embed_tokens.weight                F16 [32, 8]     512 B
                layers.0                           9 tensors    1.91 KiB
                  input_layernorm.weight           F16 [8]          16 B
                  mlp                              3 tensors    1.50 KiB
                    down_proj.weight               F16 [8, 32]     512 B
                    gate_proj.weight               F16 [32, 8]     512 B
                    up_proj.weight                 F16 [32, 8]     512 B
                  post_attention_layernorm.weight  F16 [8]          16 B
                  self_attn                        4 tensors       384 B
                    k_proj.weight                  F16 [4, 8]       64 B
                    o_proj.weight                  F16 [8, 8]      128 B
                    q_proj.weight                  F16 [8, 8]      128 B
                    v_proj.weight                  F16 [4, 8]       64 B
                norm.weight                        F16 [8]          16 B

            totals
                   tensors  parameters     bytes  bits/weight
              F16       12       1,496  2.92 KiB        16.00
              all       12       1,496  2.92 KiB        16.00

            """,
            run.Out.Replace(folder.Path, "DIR", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Document_has_every_part_with_numbers_as_numbers()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        folder.Write("config.json", """{"architectures":["A"],"model_type":"a","hidden_size":8,"quantization_config":{"quant_method":"fp8"}}""");
        var run = await ToolRun.OfAsync("inspect", file, "--json");
        Assert.Equal((0, ""), (run.ExitCode, run.Error));
        var document = run.Document("ilgpu-loader/inspect/1");
        Assert.Equal(file, document.GetProperty("path").GetString());
        Assert.Equal("safetensors", document.GetProperty("format").GetString());
        Assert.Equal("pt", document.GetProperty("metadata").GetProperty("format").GetString());
        Assert.Empty(document.GetProperty("warnings").EnumerateArray());

        var opened = Assert.Single(document.GetProperty("files").EnumerateArray());
        Assert.Equal("mixed.safetensors", opened.GetProperty("name").GetString());
        Assert.Equal(file, opened.GetProperty("path").GetString());
        Assert.Equal(new FileInfo(file).Length, opened.GetProperty("bytes").GetInt64());
        Assert.Equal(6, opened.GetProperty("tensors").GetInt32());

        var config = document.GetProperty("config");
        Assert.Equal("A", Assert.Single(config.GetProperty("architectures").EnumerateArray()).GetString());
        Assert.Equal(8, config.GetProperty("hiddenSize").GetInt64());
        Assert.Equal("fp8", config.GetProperty("quantization").GetString());
        Assert.False(config.TryGetProperty("layers", out _));

        var tensor = document.GetProperty("tensors").EnumerateArray().Single(tensor => tensor.GetProperty("name").GetString() == "half.bytes");
        Assert.Equal("F4", tensor.GetProperty("dtype").GetString());
        Assert.Equal([2, 2], tensor.GetProperty("shape").EnumerateArray().Select(size => size.GetInt64()));
        Assert.Equal("mixed.safetensors", tensor.GetProperty("file").GetString());
        Assert.Equal(2, tensor.GetProperty("bytes").GetInt64());
        Assert.Equal(new FileInfo(file).Length - 2, tensor.GetProperty("offset").GetInt64());

        var totals = document.GetProperty("totals");
        Assert.Equal(6, totals.GetProperty("tensors").GetInt32());
        Assert.Equal(2 + 2 + 2 + 2 + 1 + 4, totals.GetProperty("parameters").GetInt64());
        Assert.Equal(8 + 4 + 16 + 2 + 8 + 2, totals.GetProperty("bytes").GetInt64());
        var ofF4 = totals.GetProperty("byDtype").EnumerateArray().Single(entry => entry.GetProperty("dtype").GetString() == "F4");
        Assert.Equal(
            (1, 4L, 2L), (ofF4.GetProperty("tensors").GetInt32(), ofF4.GetProperty("elements").GetInt64(), ofF4.GetProperty("bytes").GetInt64()));
    }

    [Fact]
    public async Task Include_and_exclude_choose_tensors_and_their_totals()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync("inspect", file, "--json", "--include", "block.*", "--include", "complex", "--exclude", "*.?64", "--exclude", "*.i64");
        var document = run.Document("ilgpu-loader/inspect/1");
        Assert.Equal(
            ["block.0.f32", "block.0.bf16", "block.1.bool", "complex"],
            document.GetProperty("tensors").EnumerateArray().Select(tensor => tensor.GetProperty("name").GetString()));
        Assert.Equal(4, document.GetProperty("totals").GetProperty("tensors").GetInt32());
    }

    [Theory]
    [InlineData("inspect")]
    [InlineData("load")]
    public async Task A_choice_that_matches_nothing_is_warned_of(string command)
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("mixed.safetensors", SampleFiles.Mixed());
        var run = await ToolRun.OfAsync(command, file, "--include", "blok.*");
        Assert.Equal(0, run.ExitCode);
        Assert.StartsWith("warning: ", run.Error, StringComparison.Ordinal);
        Assert.Contains("--include", run.Error, StringComparison.Ordinal);
        var empty = await ToolRun.OfAsync(command, folder.Write("empty.safetensors", new SafetensorsBuilder().ToBytes()));
        Assert.Equal((0, ""), (empty.ExitCode, empty.Error));
    }

    [Fact]
    public async Task Names_from_a_file_cannot_write_to_the_terminal()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("turned\u202e\u001b[31m.safetensors", SampleFiles.HostileNames());
        foreach (var args in new[] { new[] { "inspect", file }, ["inspect", file, "--tree"], ["hash", file], ["verify", file, file + "x"], ["load", file] })
        {
            var run = await ToolRun.OfAsync(args);
            var shown = run.Out + run.Error;
            Assert.DoesNotContain(shown, character => char.IsControl(character) && character != '\n');
            Assert.DoesNotContain('\u202e', shown);
            Assert.Contains(@"\u202e", shown, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Names_in_a_document_are_those_of_the_file()
    {
        using var folder = new TemporaryFolder();
        var run = await ToolRun.OfAsync("inspect", folder.Write("a.safetensors", SampleFiles.HostileNames()), "--json");
        Assert.Equal(
            ["red\u001b[31m", "turned\u202etxt", "c1\u009b2J"],
            run.Document("ilgpu-loader/inspect/1").GetProperty("tensors").EnumerateArray().Select(tensor => tensor.GetProperty("name").GetString()));
        Assert.DoesNotContain('\u001b', run.Out);
    }

    [Fact]
    public async Task A_long_metadata_value_is_cut_between_characters()
    {
        using var folder = new TemporaryFolder();
        var metadata = new Dictionary<string, string> { ["a"] = "x" + string.Concat(Enumerable.Repeat("😀", 90)), ["b"] = new string('\n', 500) };
        var file = folder.Write("a.safetensors", new SafetensorsBuilder().AddMetadata(metadata).ToBytes());
        var text = (await ToolRun.OfAsync("inspect", file)).Out;
        Assert.Contains("a  x😀", text, StringComparison.Ordinal);
        Assert.DoesNotContain(string.Concat(Enumerable.Repeat("😀", 60)), text, StringComparison.Ordinal);
        Assert.Equal(text, System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text)));
        Assert.Contains(@"\u000a…", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failures_have_their_exit_code_and_document()
    {
        using var folder = new TemporaryFolder();
        var missing = await ToolRun.OfAsync("inspect", folder["none"], "--json");
        Assert.Equal(folder["none"], missing.ErrorDocument("Unreadable", 3).GetProperty("file").GetString());
        var broken = folder.Write("broken.safetensors", SampleFiles.Truncated());
        var error = (await ToolRun.OfAsync("inspect", broken, "--json")).ErrorDocument("FileTruncated", 4);
        Assert.Equal(broken, error.GetProperty("file").GetString());
        (await ToolRun.OfAsync("inspect", folder.Write("m.h5", SampleFiles.Hdf5()), "--json")).ErrorDocument("Unsupported", 5);
        var unknown = SafetensorsBuilder.File("{" + SafetensorsBuilder.Entry("t", "F16x", [1], 0, 2) + "}", new byte[2]);
        var dtype = (await ToolRun.OfAsync("inspect", folder.Write("d.safetensors", unknown), "--json")).ErrorDocument("UnknownDType", 4);
        Assert.Equal("t", dtype.GetProperty("tensor").GetString());
        (await ToolRun.OfAsync("inspect", Directory.CreateDirectory(folder["empty"]).FullName, "--json")).ErrorDocument("NoWeights", 4);
    }

    private static async Task<string> SynthesiseAsync(TemporaryFolder folder)
    {
        var run = await ToolRun.OfAsync(
            "synth", "llama", folder["m"], "--layers", "1", "--hidden", "8", "--vocab", "32", "--shards", "2", "--dtype", "f16");
        Assert.Equal(0, run.ExitCode);
        return folder["m"];
    }

    [Fact]
    public async Task Shared_bytes_count_once_also_where_the_tensor_that_has_them_is_left_out()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("ties.safetensors", new SafetensorsBuilder()
            .AddMetadata(new Dictionary<string, string> { ["ties"] = """{"m.b":"m.a","m.c":"m.a"}""" })
            .Add("m.a", "F32", [4], new byte[16])
            .Add("m.z", "F32", [1], new byte[4])
            .ToBytes());
        var totals = (await ToolRun.OfAsync("inspect", file, "--exclude", "m.a", "--json")).Document("ilgpu-loader/inspect/1").GetProperty("totals");
        Assert.Equal((3, 5, 20), (totals.GetProperty("tensors").GetInt32(), totals.GetProperty("parameters").GetInt32(), totals.GetProperty("bytes").GetInt32()));
        var tree = (await ToolRun.OfAsync("inspect", file, "--exclude", "m.a", "--tree")).Out;
        Assert.Matches(@"\n  m +3 tensors +20 B\n", tree);
        Assert.Matches(@"\n    c +F32 \[4\], tied to m\.a +16 B\n", tree);
    }
}
