using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// Every family by the names and shapes of a published model (names.zip): every name is taken and every parameter filled, from its safetensors and from its GGUF, over 1 to 8 ranks.
/// </summary>
public sealed class PublishedModelTests
{
    private static readonly string[] Models =
    [
        "TinyLlama-1.1B-Chat-v1.0", "Mistral-7B-v0.1", "Mixtral-8x7B-v0.1", "Mixtral-8x7B-v0.1-per-expert", "Qwen2-0.5B", "Qwen3-0.6B", "Qwen3-0.6B-with-output", "gemma-2b",
        "Phi-3-mini-4k-instruct", "gpt2", "gpt2-with-output",
    ];

    // 14 heads over 4 ranks, and 12 over 8, have tests of their own.
    public static TheoryData<string, int> ModelsAndRanks
    {
        get
        {
            var data = new TheoryData<string, int>();
            foreach (var model in Models)
            {
                var most = model == "Qwen2-0.5B" ? 2 : model.StartsWith("gpt2", StringComparison.Ordinal) ? 4 : 8;
                for (var world = 1; world <= most; world *= 2)
                {
                    data.Add(model, world);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(ModelsAndRanks))]
    public void Every_name_of_the_safetensors_is_taken_and_every_parameter_filled(string model, int world)
    {
        var listing = NameListing.Read(model);
        var config = ModelSample.ConfigOf(model);
        // What each says of itself: GPT-2's masks, and the head of a tied model that the file has all the same.
        var expectedSkips = listing.Checkpoint.Keys.Where(
            name => (name.EndsWith(".attn.bias", StringComparison.Ordinal) && model.StartsWith("gpt2", StringComparison.Ordinal))
                || (name == "lm_head.weight" && model.StartsWith("Qwen3", StringComparison.Ordinal)));
        for (var rank = 0; rank < world; rank++)
        {
            var weights = listing.Checkpoint.Select(pair => ModelSample.Unread(pair.Key, pair.Value));
            Assert.Equal(expectedSkips.Order(), LoadAll(ModelSample.Context(config, world, rank), weights).Order());
        }
    }

    [Theory]
    [MemberData(nameof(ModelsAndRanks))]
    public void Every_name_of_the_gguf_is_taken_and_every_parameter_filled(string model, int world)
    {
        var listing = NameListing.Read(model);
        var config = ModelSample.ConfigOf(model);
        var mapping = listing.BuiltIn().Resolve(listing.Gguf, listing.Checkpoint.Keys);
        var expectedSkips = mapping.Tensors.Select(tensor => tensor.Name).Where(name => name == "lm_head.weight" && config.VocabularySize is 50257 or 151936);
        for (var rank = 0; rank < world; rank++)
        {
            var weights = mapping.Tensors.Select(tensor => ModelSample.Unread(tensor.Name, tensor.GgufShape, tensor.Transform, tensor.GgufName));
            Assert.Equal(expectedSkips, LoadAll(ModelSample.Context(config, world, rank), weights));
        }
    }

    [Theory]
    [InlineData("Qwen2-0.5B", 4, "14 heads (num_attention_heads) cannot be split evenly over 4 tensor-parallel ranks")]
    [InlineData("Qwen2-0.5B", 8, "14 heads (num_attention_heads) cannot be split evenly over 8 tensor-parallel ranks")]
    [InlineData("gpt2", 8, "12 heads (n_head) cannot be split evenly over 8 tensor-parallel ranks")]
    [InlineData("Qwen3-0.6B", 16 * 8, "16 heads (num_attention_heads) cannot be split evenly over 128 tensor-parallel ranks")]
    public void Heads_that_ranks_cannot_share_are_refused_with_their_field(string model, int world, string expected)
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => ModelInitializer.Initialize(ModelSample.Context(ModelSample.ConfigOf(model), world)));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        Assert.Equal("config.json", exception.File);
    }

    [Theory]
    [MemberData(nameof(ModelsAndRanks))]
    public void Every_shape_follows_from_the_configuration(string model, int world)
    {
        var sizes = new Sizes(ModelSample.ConfigOf(model), world);
        using var module = ModelInitializer.Initialize(ModelSample.Context(ModelSample.ConfigOf(model), world, world - 1));
        Assert.All(
            module.NamedParameters(),
            entry => Assert.Equal((entry.Name, new Shape(sizes.Of(entry.Name)), DType.BF16), (entry.Name, entry.Parameter.Shape, entry.Parameter.DType)));
    }

    private static List<string> LoadAll(ModelContext context, IEnumerable<Weight> weights)
    {
        using var model = ModelInitializer.Initialize(context);
        var names = model.NamedParameters().ToDictionary(entry => entry.Parameter, entry => entry.Name);
        var filled = names.Keys.ToDictionary(parameter => parameter, _ => 0L);
        var targets = new HashSet<WeightTarget>();
        var places = new HashSet<(DeviceMemory, long)>();
        var skipped = new List<string>();
        foreach (var weight in weights)
        {
            using (weight)
            {
                var route = model.Route(weight.Name);
                Assert.False(route.IsUnknown, weight.Name);
                if (route.SkippedSince is not null)
                {
                    skipped.Add(weight.Name);
                }

                foreach (var target in route.Targets)
                {
                    Assert.True(targets.Add(target), weight.Name);
                    foreach (var write in ModelSample.Record(target, weight).Where(write => write.ElementCount > 0))
                    {
                        Assert.True(places.Add((write.Destination.Memory, write.Destination.ByteOffset)), weight.Name);
                        filled[target.Parameter] += write.ElementCount;
                    }
                }
            }
        }

        Assert.All(filled, entry => Assert.Equal((names[entry.Key], entry.Key.Shape.ElementCount), (names[entry.Key], entry.Value)));
        return skipped;
    }

    /// <summary>A rank's shapes, by the formulas of the models' definitions.</summary>
    private sealed class Sizes(ModelConfig config, int world)
    {
        private long Hidden => Number("hidden_size", "n_embd");

        private long Heads => Number("num_attention_heads", "n_head");

        private long KeyValueHeads => config.Root.TryGetProperty("num_key_value_heads", out var heads) ? heads.GetInt64() : Heads;

        private long Head => config.Root.TryGetProperty("head_dim", out var size) ? size.GetInt64() : Hidden / Heads;

        private long Intermediate => config.Root.TryGetProperty("intermediate_size", out var size) ? size.GetInt64() : 4 * Hidden;

        // Queries of this rank, and at least one key and one value head.
        private long Packed => ((Heads / world) + (2 * Math.Max(1, KeyValueHeads / world))) * Head;

        private long Tokens => (Number("vocab_size", "vocab_size") + 63) / 64 * 64 / world;

        public long[] Of(string name) => string.Join('.', name.Split('.').Select(part => part.All(char.IsAsciiDigit) ? "#" : part)) switch
        {
            "model.embed_tokens.weight" or "lm_head.weight" or "transformer.wte.weight" => [Tokens, Hidden],
            "model.norm.weight" or "model.layers.#.input_layernorm.weight" or "model.layers.#.post_attention_layernorm.weight" => [Hidden],
            "model.layers.#.self_attn.qkv_proj.weight" => [Packed, Hidden],
            "model.layers.#.self_attn.qkv_proj.bias" => [Packed],
            "model.layers.#.self_attn.o_proj.weight" => [Hidden, Heads / world * Head],
            "model.layers.#.self_attn.q_norm.weight" or "model.layers.#.self_attn.k_norm.weight" => [Head],
            "model.layers.#.mlp.gate_up_proj.weight" => [2 * (Intermediate / world), Hidden],
            "model.layers.#.mlp.down_proj.weight" => [Hidden, Intermediate / world],
            "model.layers.#.block_sparse_moe.gate.weight" => [8, Hidden],
            "model.layers.#.block_sparse_moe.experts.w13_weight" => [8, 2 * (Intermediate / world), Hidden],
            "model.layers.#.block_sparse_moe.experts.w2_weight" => [8, Hidden, Intermediate / world],
            "transformer.wpe.weight" => [1024, Hidden],
            "transformer.ln_f.weight" or "transformer.ln_f.bias" => [Hidden],
            "transformer.h.#.ln_1.weight" or "transformer.h.#.ln_1.bias" or "transformer.h.#.ln_2.weight" or "transformer.h.#.ln_2.bias" => [Hidden],
            "transformer.h.#.attn.c_attn.weight" => [3 * Hidden / world, Hidden],
            "transformer.h.#.attn.c_attn.bias" => [3 * Hidden / world],
            "transformer.h.#.attn.c_proj.weight" => [Hidden, Hidden / world],
            "transformer.h.#.mlp.c_fc.weight" => [4 * Hidden / world, Hidden],
            "transformer.h.#.mlp.c_fc.bias" => [4 * Hidden / world],
            "transformer.h.#.mlp.c_proj.weight" => [Hidden, 4 * Hidden / world],
            "transformer.h.#.attn.c_proj.bias" or "transformer.h.#.mlp.c_proj.bias" => [Hidden],
            _ => throw new ArgumentException($"No formula for {name}.", nameof(name)),
        };

        private long Number(string name, string other) => config.Root.GetProperty(config.Root.TryGetProperty(name, out _) ? name : other).GetInt64();
    }
}
