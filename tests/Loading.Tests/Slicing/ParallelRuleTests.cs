using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ParallelRuleTests
{
    private const string Layer = "model.layers.0.";

    // 8 heads of 4, 2 key and value heads; hidden 32, intermediate 48, experts 24, 101 tokens.
    private const string Config = """{"num_attention_heads": 8, "num_key_value_heads": 2, "hidden_size": 32}""";

    private static readonly (string Name, long[] Shape)[] Model =
    [
        ("model.embed_tokens.weight", [101, 32]),
        (Layer + "input_layernorm.weight", [32]),
        (Layer + "self_attn.q_proj.weight", [32, 32]),
        (Layer + "self_attn.q_proj.bias", [32]),
        (Layer + "self_attn.q_norm.weight", [4]),
        (Layer + "self_attn.k_proj.weight", [8, 32]),
        (Layer + "self_attn.k_proj.bias", [8]),
        (Layer + "self_attn.v_proj.weight", [8, 32]),
        (Layer + "self_attn.o_proj.weight", [32, 32]),
        (Layer + "self_attn.o_proj.bias", [32]),
        (Layer + "mlp.gate_proj.weight", [48, 32]),
        (Layer + "mlp.gate_proj.weight_scale", [1]),
        (Layer + "mlp.up_proj.weight", [48, 32]),
        (Layer + "mlp.up_proj.bias", [48]),
        (Layer + "mlp.down_proj.weight", [32, 48]),
        (Layer + "mlp.down_proj.bias", [32]),
        (Layer + "block_sparse_moe.gate.weight", [4, 32]),
        (Layer + "block_sparse_moe.experts.3.w1.weight", [24, 32]),
        (Layer + "block_sparse_moe.experts.3.w2.weight", [32, 24]),
        (Layer + "block_sparse_moe.experts.3.w3.weight", [24, 32]),
        (Layer + "mlp.shared_expert.up_proj.weight", [24, 32]),
        ("adapter.w1.weight", [24, 32]),
        ("vision_tower.layers.0.self_attn.q_proj.weight", [30, 30]),
        ("model.norm.weight", [32]),
        ("lm_head.weight", [101, 32]),
        ("q_proj", [5]),
    ];

    [Theory]
    [InlineData(1, 0, "")]
    [InlineData(2, 1, "embed_tokens.weight 0[51..101) q_proj.weight 0[16..32) q_proj.bias 0[16..32) k_proj.weight 0[4..8) k_proj.bias 0[4..8) v_proj.weight 0[4..8) "
        + "o_proj.weight 1[16..32) gate_proj.weight 0[24..48) up_proj.weight 0[24..48) up_proj.bias 0[24..48) down_proj.weight 1[24..48) "
        + "w1.weight 0[12..24) w2.weight 1[12..24) w3.weight 0[12..24) up_proj.weight 0[12..24) lm_head.weight 0[51..101)")]
    // Two key and value heads for four ranks: ranks 0 and 1 have the first, 2 and 3 the second.
    [InlineData(4, 2, "embed_tokens.weight 0[52..78) q_proj.weight 0[16..24) q_proj.bias 0[16..24) k_proj.weight 0[4..8) k_proj.bias 0[4..8) v_proj.weight 0[4..8) "
        + "o_proj.weight 1[16..24) gate_proj.weight 0[24..36) up_proj.weight 0[24..36) up_proj.bias 0[24..36) down_proj.weight 1[24..36) "
        + "w1.weight 0[12..18) w2.weight 1[12..18) w3.weight 0[12..18) up_proj.weight 0[12..18) lm_head.weight 0[52..78)")]
    [InlineData(8, 7, "embed_tokens.weight 0[91..101) q_proj.weight 0[28..32) q_proj.bias 0[28..32) k_proj.weight 0[4..8) k_proj.bias 0[4..8) v_proj.weight 0[4..8) "
        + "o_proj.weight 1[28..32) gate_proj.weight 0[42..48) up_proj.weight 0[42..48) up_proj.bias 0[42..48) down_proj.weight 1[42..48) "
        + "w1.weight 0[21..24) w2.weight 1[21..24) w3.weight 0[21..24) up_proj.weight 0[21..24) lm_head.weight 0[91..101)")]
    public async Task Each_weight_is_split_as_its_name_says(int worldSize, int rank, string expected)
    {
        using var folder = Write(Config, Model);
        await using var checkpoint = await Checkpoint.OpenAsync(folder["m"]);
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(worldSize, rank) });
        var sliced = plan.Tensors.Where(tensor => tensor.Slice is not null).ToArray();
        Assert.Equal(
            expected, string.Join(' ', sliced.Select(tensor => $"{string.Join('.', tensor.Name.Split('.')[^2..])} {tensor.Slice}")));
        Assert.Equal(sliced.Length, plan.SlicedCount);
        Assert.All(sliced, tensor => Assert.Equal(tensor.Slice!.Length, tensor.Shape[tensor.Slice.Dimension]));
        if (worldSize > 1)
        {
            Assert.Contains($"{sliced.Length} tensors sliced for rank {rank} of {worldSize}, {Model.Length - sliced.Length} whole", plan.ToString(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task All_ranks_together_hold_the_model()
    {
        using var folder = new TemporaryFolder();
        await LlamaSynthesizer.WriteAsync(
            folder["m"], new LlamaOptions { Layers = 2, Hidden = 64, Heads = 8, KeyValueHeads = 8, Vocabulary = 101, Shards = 3 });
        await using var checkpoint = await Checkpoint.OpenAsync(folder["m"]);
        var loader = new CheckpointLoader();
        await using var whole = await loader.LoadAsync(loader.Plan(checkpoint));
        foreach (var worldSize in new[] { 2, 4, 8 })
        {
            var parts = checkpoint.Tensors.ToDictionary(tensor => tensor.Name, _ => new List<Tensor>());
            var models = new List<LoadedModel>();
            LoadPlan? plan = null;
            for (var rank = 0; rank < worldSize; rank++)
            {
                plan = loader.Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(worldSize, rank), Device = new HostDevice() });
                models.Add(await loader.LoadAsync(plan));
                Assert.All(models[^1], tensor => parts[tensor.Name].Add(tensor.Tensor));
            }

            foreach (var planned in plan!.Tensors)
            {
                AssertParts(whole[planned.Name], planned.Slice?.Dimension, parts[planned.Name]);
            }

            models.ForEach(model => model.Dispose());
        }
    }

    [Fact]
    public async Task A_vocabulary_of_fewer_tokens_than_ranks_leaves_the_last_ranks_none()
    {
        using var folder = Write(Config, ("model.embed_tokens.weight", [3, 4]), ("lm_head.weight", [3, 4]));
        await using var checkpoint = await Checkpoint.OpenAsync(folder["m"]);
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(8, 5), Device = new HostDevice() });
        Assert.All(plan.Tensors, tensor => Assert.Equal(new Shape(0, 4), tensor.Shape));
        Assert.Equal((0L, 0L, 0L), (plan.BytesToRead, plan.BytesNeeded, plan.DestinationBytes));
        await using var model = await loader.LoadAsync(plan);
        Assert.Equal(2, model.Count);
    }

    [Theory]
    [InlineData(Config, 3, "self_attn.q_proj.weight", "32,32", "8 heads (num_attention_heads) cannot be split over 3 ranks")]
    [InlineData(Config, 16, "self_attn.q_proj.weight", "32,32", "8 heads (num_attention_heads) cannot be split over 16 ranks")]
    [InlineData(Config, 16, "self_attn.o_proj.weight", "32,32", "8 heads (num_attention_heads) cannot be split over 16 ranks")]
    [InlineData(Config, 3, "self_attn.k_proj.weight", "8,32", "2 heads (num_key_value_heads) cannot be split over 3 ranks")]
    [InlineData(Config, 2, "self_attn.q_proj.weight", "30,32", "dimension 0 of [30, 32] does not consist of 8 equal heads (num_attention_heads)")]
    [InlineData(Config, 5, "mlp.up_proj.weight", "48,32", "dimension 0 of [48, 32] cannot be split evenly over 5 ranks")]
    [InlineData(Config, 5, "mlp.down_proj.weight", "32,48", "dimension 1 of [32, 48] cannot be split evenly over 5 ranks")]
    [InlineData(Config, 2, "mlp.down_proj.weight", "2,32,48", "is [outputs, inputs], and this is [2, 32, 48]")]
    [InlineData(Config, 2, "mlp.up_proj.bias", "2,24", "a bias is [outputs], and this is [2, 24]")]
    [InlineData(Config, 2, "mlp.gate_up_proj.weight", "96,32", "packs several weights")]
    [InlineData(Config, 2, "self_attn.qkv_proj.weight", "48,32", "packs several weights")]
    [InlineData(Config, 2, "mlp.experts.down_proj", "4,32,48", "packs several weights")]
    [InlineData(Config, 2, "mlp.up_proj.weight_scale_inv", "2,2", "belongs to a weight that is split")]
    [InlineData(null, 2, "self_attn.q_proj.weight", "32,32", "there is no config.json with num_attention_heads")]
    [InlineData("{}", 2, "self_attn.k_proj.weight", "32,32", "there is no config.json with num_key_value_heads")]
    public async Task What_cannot_be_split_is_refused_with_the_numbers(string? config, int worldSize, string name, string shape, string expected)
    {
        using var folder = Write(config, (Layer + name, shape.Split(',').Select(long.Parse).ToArray()));
        await using var checkpoint = await Checkpoint.OpenAsync(folder["m"]);
        var loader = new CheckpointLoader();
        var error = Assert.Throws<UnsupportedCheckpointException>(
            () => loader.Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(worldSize, 0) }));
        Assert.Equal(Layer + name, error.Tensor);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        var excluded = loader.Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(worldSize, 0), Exclude = ["*"] });
        Assert.Empty(excluded.Tensors);
    }

    [Theory]
    [InlineData("""{"num_attention_heads": 8}""", "0[16..32)")]
    [InlineData("""{"text_config": {"num_attention_heads": 8, "num_key_value_heads": 8}}""", "0[16..32)")]
    public async Task Heads_come_from_where_configurations_have_them(string config, string expected)
    {
        using var folder = Write(config, (Layer + "self_attn.k_proj.weight", [32, 32]));
        await using var checkpoint = await Checkpoint.OpenAsync(folder["m"]);
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(2, 1) });
        Assert.Equal(expected, plan.Tensors[0].Slice?.ToString());
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(-1, 0)]
    [InlineData(2, 2)]
    [InlineData(2, -1)]
    [InlineData(1, 1)]
    [InlineData(1025, 0)]
    public async Task Ranks_that_do_not_exist_are_refused(int worldSize, int rank)
    {
        await using var checkpoint = await Sample.Make(1, ("a", DType.F32, [2])).OpenAsync();
        var options = new LoadOptions { TensorParallel = new TensorParallel(worldSize, rank) };
        var error = Assert.Throws<ArgumentException>(() => new CheckpointLoader().Plan(checkpoint, options));
        Assert.Equal("TensorParallel", error.ParamName);
    }

    [Theory]
    [InlineData("llama", 2, 1, "token_embd.weight 0[51..101) attn_q.weight 0[128..256) attn_q.bias 0[128..256) attn_k.weight 0[32..64) attn_output.weight 1[128..256) "
        + "ffn_up.weight 0[48..96) 3.weight 0[48..96) ffn_down.weight 1[48..96) output.weight 0[51..101)")]
    [InlineData("qwen3", 4, 3, "token_embd.weight 0[78..101) attn_q.weight 0[192..256) attn_q.bias 0[192..256) attn_k.weight 0[32..64) attn_output.weight 1[192..256) "
        + "ffn_up.weight 0[72..96) 3.weight 0[72..96) ffn_down.weight 1[72..96) output.weight 0[78..101)")]
    // No architecture whose layers are known: whole, as any names that nobody knows.
    [InlineData("unheard-of", 2, 1, "")]
    public async Task Names_of_GGUF_files_are_split_by_their_architecture(string architecture, int worldSize, int rank, string expected)
    {
        await using var checkpoint = await OpenGgufAsync(
            architecture,
            ("token_embd.weight", [101, 256]),
            ("blk.0.attn_norm.weight", [256]),
            ("blk.0.attn_q.weight", [256, 256]),
            ("blk.0.attn_q.bias", [256]),
            ("blk.0.attn_k.weight", [64, 256]),
            ("blk.0.attn_output.weight", [256, 256]),
            ("blk.0.ffn_up.weight", [96, 256]),
            ("blk.0.ffn_gate.3.weight", [96, 256]),
            ("blk.0.ffn_down.weight", [256, 96]),
            ("output.weight", [101, 256]));
        // Decoded: a half of 96 columns begins inside a block.
        var plan = new CheckpointLoader().Plan(
            checkpoint, new LoadOptions { DType = DType.F32, TensorParallel = new TensorParallel(worldSize, rank) });
        Assert.Equal(
            expected,
            string.Join(' ', plan.Tensors.Where(tensor => tensor.Slice is not null)
                .Select(tensor => $"{string.Join('.', tensor.Name.Split('.')[^2..])} {tensor.Slice}")));
    }

    [Theory]
    [InlineData("phi3", "blk.0.ffn_up.weight", "packs several weights")]
    [InlineData("gpt2", "blk.0.attn_qkv.weight", "packs several weights")]
    [InlineData("llama", "blk.0.ffn_up_exps.weight", "packs several weights")]
    [InlineData("gemma", "blk.0.attn_v.weight", "2 heads (gemma.attention.head_count_kv) cannot be split over 3 ranks")]
    public async Task What_a_GGUF_file_packs_or_cannot_split_is_refused(string architecture, string name, string expected)
    {
        await using var checkpoint = await OpenGgufAsync(architecture, (name, [96, 256]));
        var error = Assert.Throws<UnsupportedCheckpointException>(
            () => new CheckpointLoader().Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(3, 0) }));
        Assert.Equal(name, error.Tensor);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Heads_that_differ_from_layer_to_layer_are_no_number_to_split_by()
    {
        var file = new GgufBuilder()
            .Add("general.architecture", "llama")
            .Add("llama.attention.head_count", 8u)
            .Add("llama.attention.head_count_kv", (int[])[2, 4])
            .Tensor("blk.0.attn_k.weight", 0, [4, 8], new byte[128])
            .ToBytes();
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file));
        var error = Assert.Throws<UnsupportedCheckpointException>(
            () => new CheckpointLoader().Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(2, 0) }));
        Assert.Contains("no one number llama.attention.head_count_kv", error.Message, StringComparison.Ordinal);
    }

    // Q8_0 matrices and F32 vectors; 8 heads, 2 key and value heads.
    private static Task<Checkpoint> OpenGgufAsync(string architecture, params (string Name, long[] Shape)[] tensors)
    {
        var builder = new GgufBuilder()
            .Add("general.architecture", architecture)
            .Add($"{architecture}.attention.head_count", 8u)
            .Add($"{architecture}.attention.head_count_kv", 2u);
        foreach (var (name, shape) in tensors)
        {
            var dtype = shape.Length == 1 ? DType.F32 : DType.Q8_0;
            builder.Tensor(
                name,
                dtype == DType.F32 ? 0 : 8,
                [.. shape.Reverse().Select(size => (ulong)size)],
                new byte[dtype.ByteCount(shape.Aggregate(1L, (product, size) => product * size))]);
        }

        return Checkpoint.OpenAsync(new MemorySource(builder.ToBytes()));
    }

    [Fact]
    public async Task Names_of_another_family_are_loaded_whole()
    {
        await using var checkpoint = await Sample.Make(1, ("blk.0.attn_q.weight", DType.F32, [4, 4])).OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { TensorParallel = new TensorParallel(2, 1) });
        Assert.Equal((0, 64L), (plan.SlicedCount, plan.BytesToRead));
        Assert.DoesNotContain("sliced", plan.ToString(), StringComparison.Ordinal);
    }

    private static TemporaryFolder Write(string? config, params (string Name, long[] Shape)[] tensors)
    {
        var folder = new TemporaryFolder();
        folder.Write("m/model.safetensors", Sample.Make(1, tensors.Select(tensor => (tensor.Name, DType.F16, tensor.Shape))).File);
        if (config is not null)
        {
            folder.Write("m/config.json", System.Text.Encoding.UTF8.GetBytes(config));
        }

        return folder;
    }

    // Each part against a view of the whole tensor.
    private static void AssertParts(Tensor whole, int? dimension, List<Tensor> parts)
    {
        long start = 0;
        foreach (var part in parts)
        {
            using var view = dimension is { } sliced ? whole.Narrow(sliced, start, part.Shape[sliced]) : whole.Narrow(0, 0, whole.Shape[0]);
            using var expected = view.To(HostDevice.Shared);
            Assert.Equal(expected.AsSpan<byte>().ToArray(), part.AsSpan<byte>().ToArray());
            start += dimension is { } d ? part.Shape[d] : 0;
        }

        Assert.True(dimension is null || start == whole.Shape[dimension.Value]);
    }
}
