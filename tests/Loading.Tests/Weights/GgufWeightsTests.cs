using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GgufWeightsTests
{
    private const string Attention = "model.layers.0.self_attn.";
    private const string Experts = "model.layers.0.block_sparse_moe.";

    [Fact]
    public async Task Types_are_those_of_all_named_tensors()
    {
        await using var checkpoint = await GgufSample.Llama().OpenAsync();
        var weights = new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint));
        Assert.Equal(
            [
                ("model.embed_tokens.weight", DType.Q8_0),
                ("lm_head.weight", DType.Q8_0),
                ("model.layers.0.input_layernorm.weight", DType.F32),
                (Attention + "q_proj.weight", DType.Q4_0),
                (Attention + "q_proj.bias", DType.F64),
                (Attention + "k_proj.weight", DType.Q8_0),
                (Attention + "v_proj.weight", DType.F16),
                (Experts + "gate.weight", DType.I32),
                (Experts + "experts.0.w2.weight", DType.Q8_0),
                (Experts + "experts.1.w2.weight", DType.Q8_0),
                (Experts + "experts.2.w2.weight", DType.Q8_0),
            ],
            weights.Types.Select(pair => (pair.Key, pair.Value)));
        // What a caller asks by name is ggml's name.
        Assert.Equal("Q4_0", weights.Types[Attention + "q_proj.weight"].Name);
    }

    [Fact]
    public async Task Tensors_without_a_name_are_reported_before_anything_is_read()
    {
        var source = new RecordingSource(new MemorySource(GgufSample.Llama().Builder.ToBytes()));
        await using var checkpoint = await GgufSample.OpenAsync(source);
        var opening = source.BytesRead;
        var weights = new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint));
        Assert.Equal(["extra.tensor"], weights.Names.Unmapped.ToArray());
        Assert.Equal(["rope_freqs.weight"], weights.Names.LeftOut.ToArray());
        Assert.Equal(opening, source.BytesRead);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public async Task All_types_come_before_any_weight(int lanes)
    {
        await using var checkpoint = await GgufSample.Llama().OpenAsync();
        var weights = new GgufWeights(
            checkpoint, GgufSample.MapOf(checkpoint), new GgufWeightsOptions { Load = new LoadOptions { Device = new HostDevice(), Lanes = lanes } });
        var given = await TakeAllAsync(weights);
        (string, long)[] types =
        [
            ("model.embed_tokens.qweight_type", 8),
            ("lm_head.qweight_type", 8),
            (Attention + "q_proj.qweight_type", 2),
            (Attention + "k_proj.qweight_type", 8),
            (Experts + "experts.0.w2.qweight_type", 8),
            (Experts + "experts.1.w2.qweight_type", 8),
            (Experts + "experts.2.w2.qweight_type", 8),
        ];
        Assert.All(given.Take(types.Length), weight => Assert.Equal((DType.I64, Shape.Scalar), (weight.DType, weight.Shape)));
        Assert.Equal(types, given.Take(types.Length).Select(weight => (weight.Name, MemoryMarshal.Read<long>(weight.Bytes))));
        string[] names =
        [
            "model.embed_tokens.qweight", "lm_head.qweight", "model.layers.0.input_layernorm.weight", Attention + "q_proj.qweight",
            Attention + "q_proj.bias", Attention + "k_proj.qweight", Attention + "v_proj.weight", Experts + "gate.weight",
            Experts + "experts.0.w2.qweight", Experts + "experts.1.w2.qweight", Experts + "experts.2.w2.qweight",
        ];
        Assert.Equal(names.Order(), given.Skip(types.Length).Select(weight => weight.Name).Order());
    }

    [Fact]
    public async Task Raw_blocks_are_the_stored_bytes_with_their_rows_in_the_order_of_the_checkpoint()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        var given = (await TakeAllAsync(new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint)))).ToDictionary(weight => weight.Name);

        Check("model.embed_tokens.qweight", DType.Q8_0, [6, 64], sample.Rows("token_embd.weight"));
        Check("lm_head.qweight", DType.Q8_0, [6, 64], sample.Rows("token_embd.weight"));
        Check(Attention + "q_proj.qweight", DType.Q4_0, [8, 64], GgufSample.Unpermute(sample.Rows("blk.0.attn_q.weight"), 2));
        Check(Attention + "k_proj.qweight", DType.Q8_0, [4, 64], GgufSample.Unpermute(sample.Rows("blk.0.attn_k.weight"), 1));
        // What has no blocks keeps its name and its type.
        Check("model.layers.0.input_layernorm.weight", DType.F32, [64], sample.Rows("blk.0.attn_norm.weight"));
        Check(Attention + "q_proj.bias", DType.F64, [8], GgufSample.Unpermute(sample.Rows("blk.0.attn_q.bias"), 2));
        Check(Attention + "v_proj.weight", DType.F16, [4, 64], sample.Rows("blk.0.attn_v.weight"));
        Check(Experts + "gate.weight", DType.I32, [3, 64], sample.Rows("blk.0.ffn_gate_inp.weight"));
        for (var expert = 0; expert < 3; expert++)
        {
            Check($"{Experts}experts.{expert}.w2.qweight", DType.Q8_0, [2, 32], [sample.Rows("blk.0.ffn_down_exps.weight")[expert]]);
        }

        void Check(string name, DType dtype, long[] shape, byte[][] rows)
        {
            Assert.Equal((dtype, new Shape(shape)), (given[name].DType, given[name].Shape));
            Assert.Equal(rows.SelectMany(row => row), given[name].Bytes);
        }
    }

    [Fact]
    public async Task Decoded_weights_keep_their_names_and_have_no_types()
    {
        var sample = GgufSample.Llama();
        await using var checkpoint = await sample.OpenAsync();
        var options = new GgufWeightsOptions { Load = new LoadOptions { DType = DType.F32 } };
        var weights = new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint), options);
        var given = (await TakeAllAsync(weights)).ToDictionary(weight => weight.Name);
        Assert.Equal(weights.Types.Keys.Order(), given.Keys.Order());
        // The types are the stored ones all the same.
        Assert.Equal(DType.Q4_0, weights.Types[Attention + "q_proj.weight"]);

        Check("model.embed_tokens.weight", [6, 64], sample.Values("token_embd.weight"));
        Check("lm_head.weight", [6, 64], sample.Values("token_embd.weight"));
        Check(Attention + "q_proj.weight", [8, 64], GgufSample.Unpermute(sample.Values("blk.0.attn_q.weight"), 2));
        Check(Attention + "k_proj.weight", [4, 64], GgufSample.Unpermute(sample.Values("blk.0.attn_k.weight"), 1));
        Check("model.layers.0.input_layernorm.weight", [64], sample.Values("blk.0.attn_norm.weight"));
        Check(Attention + "q_proj.bias", [8], GgufSample.Unpermute(sample.Values("blk.0.attn_q.bias"), 2));
        Check(Attention + "v_proj.weight", [4, 64], sample.Values("blk.0.attn_v.weight"));
        for (var expert = 0; expert < 3; expert++)
        {
            Check($"{Experts}experts.{expert}.w2.weight", [2, 32], [sample.Values("blk.0.ffn_down_exps.weight")[expert]]);
        }

        Assert.Equal(DType.I32, given[Experts + "gate.weight"].DType);
        Assert.Equal(sample.Rows("blk.0.ffn_gate_inp.weight").SelectMany(row => row), given[Experts + "gate.weight"].Bytes);

        void Check(string name, long[] shape, float[][] rows)
        {
            Assert.Equal((DType.F32, new Shape(shape)), (given[name].DType, given[name].Shape));
            Assert.Equal(rows.SelectMany(row => row), MemoryMarshal.Cast<byte, float>(given[name].Bytes).ToArray());
        }
    }

    [Fact]
    public async Task A_tied_output_shares_the_memory_of_the_embedding()
    {
        var device = new HostDevice();
        await using var checkpoint = await GgufSample.Llama().OpenAsync();
        var options = new GgufWeightsOptions { Load = new LoadOptions { Device = device, Include = ["lm_head.*", "model.embed_tokens.*"] } };
        var kept = new List<Weight>();
        await foreach (var weight in new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint), options).ReadAsync())
        {
            kept.Add(weight);
        }

        Assert.Equal(
            ["model.embed_tokens.qweight_type", "lm_head.qweight_type", "model.embed_tokens.qweight", "lm_head.qweight"],
            kept.Select(weight => weight.Name));
        Assert.Same(kept[2].Tensor.Memory, kept[3].Tensor.Memory);
        // Two types, and the one memory.
        Assert.Equal(3, device.LiveAllocations);
        kept.ForEach(weight => weight.Dispose());
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task Without_ties_only_what_the_file_has_is_given()
    {
        await using var checkpoint = await GgufSample.Llama().OpenAsync();
        var weights = new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint), new GgufWeightsOptions { IncludeTies = false });
        Assert.DoesNotContain("lm_head.weight", weights.Types.Keys);
        Assert.DoesNotContain(await TakeAllAsync(weights), weight => weight.Name.StartsWith("lm_head", StringComparison.Ordinal));
        Assert.Equal([new NameTie("lm_head.weight", "model.embed_tokens.weight")], weights.Names.Ties.ToArray());
    }

    [Fact]
    public async Task Choosing_goes_by_names_of_the_checkpoint_and_reads_nothing_else()
    {
        var sample = GgufSample.Llama();
        var source = new RecordingSource(new MemorySource(sample.Builder.ToBytes()));
        await using var checkpoint = await GgufSample.OpenAsync(source);
        var opening = source.BytesRead;
        var options = new GgufWeightsOptions { Load = new LoadOptions { Include = ["*_proj.weight", "lm_head*"], Exclude = ["*k_proj*"] } };
        var weights = new GgufWeights(checkpoint, GgufSample.MapOf(checkpoint), options);
        Assert.Equal(["lm_head.weight", Attention + "q_proj.weight", Attention + "v_proj.weight"], weights.Types.Keys);
        var given = await TakeAllAsync(weights);
        Assert.Equal(
            ["lm_head.qweight", "lm_head.qweight_type", Attention + "q_proj.qweight", Attention + "q_proj.qweight_type", Attention + "v_proj.weight"],
            given.Select(weight => weight.Name).Order());
        string[] read = ["token_embd.weight", "blk.0.attn_q.weight", "blk.0.attn_v.weight"];
        Assert.Equal(read.Sum(name => sample.Rows(name).Sum(row => row.Length)), source.BytesRead - opening);
    }

    [Fact]
    public async Task Parts_of_a_split_model_are_one_sequence()
    {
        using var folder = new TemporaryFolder();
        var (first, second) = (new GgufSample(), new GgufSample());
        first.Builder.Add("split.no", (ushort)0).Add("split.count", (ushort)2).Add("split.tensors.count", 3);
        second.Builder.Add("split.no", (ushort)1).Add("split.count", (ushort)2).Add("split.tensors.count", 3);
        first.Add("a", 8, 2, 32).Add("b", 0, 5);
        second.Add("c", 2, 4, 32);
        folder.Write("m-00001-of-00002.gguf", first.Builder.ToBytes());
        var path = folder.Write("m-00002-of-00002.gguf", second.Builder.ToBytes());
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var map = new GgufNameMap([new("a", "x.weight"), new("b", "y.weight"), new("c", "z.weight", WeightTransform.Unpermute(2))]);
        var given = await TakeAllAsync(new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = new LoadOptions { Lanes = 1 } }));
        Assert.Equal(["x.qweight_type", "z.qweight_type"], given.Take(2).Select(weight => weight.Name));
        Assert.Equal(["x.qweight", "y.weight", "z.qweight"], given.Skip(2).Select(weight => weight.Name).Order());
        Assert.Equal(
            GgufSample.Unpermute(second.Rows("c"), 2).SelectMany(row => row), given.Single(weight => weight.Name == "z.qweight").Bytes);
        Assert.Equal(first.Rows("a").SelectMany(row => row), given.Single(weight => weight.Name == "x.qweight").Bytes);
    }

    // The map is a caller's own: it names every tensor of the file.
    [Fact]
    public async Task Every_type_of_ggml_comes_raw_and_decoded_as_ggml_has_it()
    {
        const string file = "all-types.gguf";
        var golden = GgufManifest.File(file);
        var bytes = GoldenArchive.Read(GgufManifest.Set, file);
        var places = GoldenBlocks.Locate(bytes);
        await using var checkpoint = await GgufSample.OpenAsync(new MemorySource(bytes, file));
        var map = new GgufNameMap(golden.Tensors.Keys.Select(name => new NameMapEntry(name, $"{name}.weight")));
        string[] plain = ["F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64"];

        var weights = new GgufWeights(checkpoint, map);
        Assert.Equal(golden.Tensors.ToDictionary(pair => $"{pair.Key}.weight", pair => pair.Value.Type), weights.Types.ToDictionary(pair => pair.Key, pair => pair.Value.Name));
        var raw = (await TakeAllAsync(weights)).ToDictionary(weight => weight.Name);
        Assert.Equal(golden.Tensors.Count + golden.Tensors.Values.Count(tensor => !plain.Contains(tensor.Type)), raw.Count);
        foreach (var (name, tensor) in golden.Tensors)
        {
            var isPlain = plain.Contains(tensor.Type);
            var weight = raw[$"{name}.{(isPlain ? "weight" : "qweight")}"];
            Assert.Equal((tensor.Type, new Shape([.. tensor.Shape])), (weight.DType.Name, weight.Shape));
            Assert.Equal(bytes[places[name]][..weight.Bytes.Length], weight.Bytes);
            Assert.Equal(isPlain, !raw.TryGetValue($"{name}.qweight_type", out var type));
            Assert.Equal(isPlain ? 0 : tensor.TypeId, type is null ? 0 : MemoryMarshal.Read<long>(type.Bytes));
        }

        var decoded = await TakeAllAsync(new GgufWeights(checkpoint, map, new GgufWeightsOptions { Load = new LoadOptions { DType = DType.F32 } }));
        foreach (var weight in decoded.Where(weight => weight.DType == DType.F32))
        {
            // Of F64 there are the values themselves.
            var expected = NpyFile.Golden(GgufManifest.Set, $"expected/{weight.Name[..^".weight".Length]}.npy");
            float[] values = expected.Descriptor == "<f8"
                ? [.. MemoryMarshal.Cast<byte, double>(expected.Data.Span).ToArray().Select(value => (float)value)]
                : MemoryMarshal.Cast<byte, float>(expected.Data.Span).ToArray();
            Assert.Equal(MemoryMarshal.AsBytes<float>(values).ToArray(), weight.Bytes);
        }

        Assert.Equal(golden.Tensors.Values.Count(tensor => tensor.Type[0] != 'I' || tensor.Type[1] == 'Q'), decoded.Count(weight => weight.DType == DType.F32));
    }

    internal static async Task<List<Given>> TakeAllAsync(GgufWeights weights, IProgress<LoadProgress>? progress = null)
    {
        var given = new List<Given>();
        await foreach (var (name, tensor) in weights.ReadAsync(progress))
        {
            using (tensor)
            {
                given.Add(new Given(name, tensor.DType, tensor.Shape, GgufSample.Read(tensor)));
            }
        }

        return given;
    }

    internal sealed record Given(string Name, DType DType, Shape Shape, byte[] Bytes);
}
