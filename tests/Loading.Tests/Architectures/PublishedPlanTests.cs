using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// Plans of published models (names.zip) from headers alone, for every number of ranks up to eight that share the heads: strict plans, in which every parameter is filled, every byte of a weight
/// is some rank's, and a rank's are its share. Nothing is read for that.
/// </summary>
public sealed class PublishedPlanTests
{
    // Two families have a small model in names.zip whose heads eight ranks cannot share; these have the sizes of a larger one, by its published config.json.
    private static readonly ImmutableDictionary<string, Larger> Derived = new Dictionary<string, Larger>(StringComparer.Ordinal)
    {
        ["Qwen2-72B"] = new(
            "Qwen2-0.5B",
            """{"num_hidden_layers": 80, "hidden_size": 8192, "num_attention_heads": 64, "num_key_value_heads": 8, "intermediate_size": 29568, "vocab_size": 152064, "tie_word_embeddings": false}""",
            new Dictionary<long, long> { [896] = 8192, [128] = 1024, [4864] = 29568, [151936] = 152064 },
            new Dictionary<string, uint>(StringComparer.Ordinal)
            {
                ["qwen2.block_count"] = 80,
                ["qwen2.embedding_length"] = 8192,
                ["qwen2.feed_forward_length"] = 29568,
                ["qwen2.attention.head_count"] = 64,
                ["qwen2.attention.head_count_kv"] = 8,
            }),
        ["gpt2-medium"] = new(
            "gpt2",
            """{"n_layer": 24, "n_embd": 1024, "n_head": 16}""",
            new Dictionary<long, long> { [768] = 1024, [2304] = 3072, [3072] = 4096 },
            new Dictionary<string, uint>(StringComparer.Ordinal)
            {
                ["gpt2.block_count"] = 24,
                ["gpt2.embedding_length"] = 1024,
                ["gpt2.feed_forward_length"] = 4096,
                ["gpt2.attention.head_count"] = 16,
            }),
    }.ToImmutableDictionary(StringComparer.Ordinal);

    public static TheoryData<string, string, int> ModelsAndRanks
    {
        get
        {
            var data = new TheoryData<string, string, int>();
            foreach (var (model, most) in (ReadOnlySpan<(string, int)>)
                [
                    ("TinyLlama-1.1B-Chat-v1.0", 8), ("Mistral-7B-v0.1", 8), ("Mixtral-8x7B-v0.1", 8), ("Mixtral-8x7B-v0.1-per-expert", 8), ("Qwen2-0.5B", 2), ("Qwen2-72B", 8), ("Qwen3-0.6B", 8),
                    ("Qwen3-0.6B-with-output", 8), ("gemma-2b", 8), ("Phi-3-mini-4k-instruct", 8), ("gpt2", 4), ("gpt2-medium", 8), ("gpt2-with-output", 4),
                ])
            {
                for (var world = 1; world <= most; world *= 2)
                {
                    data.Add(model, "safetensors", world);
                    data.Add(model, "gguf", world);
                }
            }

            return data;
        }
    }

    [Theory]
    [MemberData(nameof(ModelsAndRanks))]
    public async Task Plan_OfAPublishedModel_IsWholeAndEachRankReadsItsShare(string model, string format, int world)
    {
        var (config, source) = Read(model, format);
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        source.IsReadNoMore = true;
        var sizes = new Shares(config, world);
        long all = 0;
        for (var rank = 0; rank < world; rank++)
        {
            using var module = ModelInitializer.Initialize(ModelSample.Context(config, world, rank));
            var plan = new ModuleLoader().Plan(module, checkpoint);
            Assert.Empty(plan.Missing);
            Assert.Empty(plan.Unexpected);
            Assert.All(plan.Parameters, parameter => Assert.True(parameter.IsFilled, parameter.Name));
            // Loaders of values, Gemma's norms from GGUF, read beside the plan.
            var needed = plan.Reads.BytesNeeded + plan.ValueBytes;
            Assert.InRange(needed, 1, checkpoint.Tensors.Sum(sizes.MostOf));
            all += needed;
        }

        Assert.InRange(all, checkpoint.Tensors.Where(tensor => sizes.MostOf(tensor) > 0).Sum(tensor => tensor.DataByteLength), long.MaxValue);
    }

    private static (ModelConfig Config, HeaderOnlySource Source) Read(string model, string format)
    {
        var larger = Derived.GetValueOrDefault(model);
        var listing = NameListing.Read(larger?.Listing ?? model);
        var config = ModelSample.ConfigOf(larger?.Listing ?? model);
        if (larger is not null)
        {
            config = larger.Enlarge(config);
        }

        if (format == "gguf")
        {
            var tensors = listing.Gguf.Select(pair => (pair.Key, pair.Value));
            return (config, HeaderOnlySource.Gguf(larger?.Enlarge(listing.Metadata) ?? listing.Metadata, larger?.Enlarge(tensors, "blk.0.", "output.weight", config) ?? tensors));
        }

        var stored = listing.Checkpoint.Select(pair => (pair.Key, pair.Value));
        return (config, HeaderOnlySource.Safetensors(
            (larger?.Enlarge(stored, listing.Checkpoint.ContainsKey("wte.weight") ? "h.0." : "model.layers.0.", "lm_head.weight", config) ?? stored)
                .Select(tensor => (tensor.Item1, DType.F16, tensor.Item2))));
    }

    /// <summary>What a rank has of a tensor at most, by the scheme of tensor parallelism.</summary>
    private sealed class Shares(ModelConfig config, int world)
    {
        // Where the field is missing: GPT-2 and Gemma tie, as transformers has it.
        private readonly bool _isTied = config.Root.TryGetProperty("tie_word_embeddings", out var tied) ? tied.GetBoolean() : config.ModelType is "gpt2" or "gemma";

        public long MostOf(TensorInfo tensor)
        {
            var names = tensor.Name.Split('.');
            return tensor switch
            {
                // Not the model's: masks, and heads that are ties.
                _ when tensor.Name.EndsWith(".attn.bias", StringComparison.Ordinal) && tensor.Shape.Rank == 4 => 0,
                _ when tensor.Name is "lm_head.weight" or "output.weight" && _isTied => 0,
                // Replicated: vectors (some of them are not, which is little), routers, places.
                { Shape.Rank: 1 } => tensor.DataByteLength,
                _ when names.Any(name => name is "gate" or "ffn_gate_inp" or "wpe" or "position_embd") => tensor.DataByteLength,
                // Padded to 64 rows and to the ranks.
                _ when names.Any(name => name is "embed_tokens" or "wte" or "token_embd" or "lm_head" or "output") =>
                    Math.Min(tensor.Shape[0], (tensor.Shape[0] + 63) / 64 * 64 / world) * (tensor.DataByteLength / tensor.Shape[0]),
                _ when names.Any(name => name is "k_proj" or "v_proj" or "attn_k" or "attn_v") => tensor.DataByteLength / Math.Min(world, config.KeyValueHeadCount ?? config.HeadCount!.Value),
                _ => tensor.DataByteLength / world,
            };
        }
    }

    private sealed record Larger(string Listing, string Fields, Dictionary<long, long> Sizes, Dictionary<string, uint> Metadata)
    {
        public ModelConfig Enlarge(ModelConfig config)
        {
            var root = JsonNode.Parse(config.Root.GetRawText())!.AsObject();
            foreach (var (name, value) in JsonNode.Parse(Fields)!.AsObject())
            {
                root[name] = value!.DeepClone();
            }

            return ModelSample.Config(root.ToJsonString());
        }

        public Dictionary<string, object> Enlarge(IReadOnlyDictionary<string, object> metadata) =>
            metadata.ToDictionary(pair => pair.Key, pair => Metadata.TryGetValue(pair.Key, out var value) ? value : pair.Value);

        // The tensors of the first layer are those of every layer. An output that is not tied has the embedding's shape.
        public IEnumerable<(string Name, Shape Shape)> Enlarge(IEnumerable<(string Name, Shape Shape)> tensors, string layer, string output, ModelConfig config)
        {
            var all = tensors.Select(tensor => (tensor.Name, Shape: SizeOf(tensor.Shape))).ToArray();
            var stem = layer.Replace("0.", "", StringComparison.Ordinal);
            var others = all.Where(tensor => !tensor.Name.StartsWith(stem, StringComparison.Ordinal));
            var layers =
                from number in Enumerable.Range(0, (int)config.LayerCount!.Value)
                from tensor in all.Where(tensor => tensor.Name.StartsWith(layer, StringComparison.Ordinal))
                select (string.Create(CultureInfo.InvariantCulture, $"{stem}{number}.{tensor.Name[layer.Length..]}"), tensor.Shape);
            var head = config.Root.TryGetProperty("tie_word_embeddings", out var tied) && !tied.GetBoolean()
                ? new[] { (output, new Shape(config.VocabularySize!.Value, config.HiddenSize!.Value)) }
                : [];
            return [.. others, .. layers, .. head];
        }

        // A mask has places, not features, of which GPT-2 has as many in all sizes.
        private Shape SizeOf(Shape shape) => shape.Rank == 4 ? shape : new Shape([.. shape.Dimensions.ToArray().Select(size => Sizes.GetValueOrDefault(size, size))]);
    }
}
