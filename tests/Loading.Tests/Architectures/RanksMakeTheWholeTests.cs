using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// What 1, 2, 4 and 8 ranks load of one model, put together by the layout that tensor parallelism has, is what one rank loads, bit for bit, from every format; and what one rank loads is what the
/// file has. A rank reads nothing beside its share.
/// </summary>
public sealed class RanksMakeTheWholeTests
{
    private const int Heads = 8;
    private const int KeyValueHeads = 4;
    private const int HeadSize = 32;
    private const int Hidden = 256;
    private const int Wide = 352;
    private const int Vocabulary = 100;

    private const string Fields =
        """
        "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "intermediate_size": 352, "vocab_size": 100, "n_embd": 256, "n_layer": 2, "n_head": 8, "n_inner": 352,
        "n_positions": 64, "num_local_experts": 4, "attention_bias": true, "head_dim": 32
        """;

    public static TheoryData<string, string> Models => new()
    {
        { "LlamaForCausalLM", "safetensors" },
        { "LlamaForCausalLM", "pt" },
        { "LlamaForCausalLM", "gguf" },
        { "Qwen3ForCausalLM", "safetensors" },
        { "MixtralForCausalLM", "safetensors" },
        { "MixtralForCausalLM", "pt" },
        { "Phi3ForCausalLM", "safetensors" },
        { "GPT2LMHeadModel", "safetensors" },
        { "GPT2LMHeadModel", "pt" },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public async Task Load_OnRanks_PutTogetherIsWhatOneRankLoads(string architecture, string format)
    {
        using var folder = new TemporaryFolder();
        await using var checkpoint = await OpenAsync(architecture, format, folder);
        var config = format == "gguf" ? GgufConfiguration.Of(checkpoint) : ModelSample.Config(architecture, architecture == "GPT2LMHeadModel" ? Fields : Fields + ", \"tie_word_embeddings\": false");
        var whole = await LoadAsync(config, checkpoint, 1, 0);
        Assert.Contains("model.embed_tokens.weight", whole.Keys.Append(architecture == "GPT2LMHeadModel" ? "model.embed_tokens.weight" : ""));
        foreach (var world in (int[])[2, 4, 8])
        {
            var ranks = new List<Dictionary<string, Loaded>>();
            for (var rank = 0; rank < world; rank++)
            {
                ranks.Add(await LoadAsync(config, checkpoint, world, rank));
            }

            foreach (var (name, parameter) in whole)
            {
                var parts = ranks.Select(rank => rank[name]).ToArray();
                Assert.True(parameter.Rows.Zip(Join(name, parts, world, parameter)).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second)), $"{name} of {world} ranks");
            }
        }
    }

    // The order that the packed layout has, said once more.
    private static IEnumerable<byte[]> Join(string name, Loaded[] ranks, int world, Loaded whole)
    {
        var module = name.Split('.')[^2];
        return module switch
        {
            "qkv_proj" or "c_attn" => Packed(
                ranks,
                Heads * HeadSize,
                // Fewer heads of keys and values than ranks: neighbours have the same one.
                name.Contains("c_attn", StringComparison.Ordinal) ? (Heads * HeadSize, 1) : (KeyValueHeads * HeadSize, Math.Max(1, world / KeyValueHeads)),
                name.Contains("c_attn", StringComparison.Ordinal) ? (Heads * HeadSize, 1) : (KeyValueHeads * HeadSize, Math.Max(1, world / KeyValueHeads))),
            "gate_up_proj" => Packed(ranks, Wide, (Wide, 1)),
            "c_fc" => Packed(ranks, Wide),
            "o_proj" or "down_proj" or "c_proj" when !name.EndsWith("bias", StringComparison.Ordinal) =>
                Enumerable.Range(0, ranks[0].Rows.Count).Select(row => ranks.SelectMany(rank => rank.Rows[row]).ToArray()),
            "embed_tokens" or "lm_head" or "wte" => ranks.SelectMany(rank => rank.Rows),
            "experts" => Experts(name, ranks, whole),
            _ => Same(ranks),
        };
    }

    private static IEnumerable<byte[]> Packed(Loaded[] ranks, int first, params (int Size, int Replicas)[] others)
    {
        var done = 0;
        foreach (var (size, replicas) in others.Prepend((first, 1)))
        {
            var share = size * replicas / ranks.Length;
            var start = done;
            foreach (var row in ranks.Where((_, i) => i % replicas == 0).SelectMany(rank => rank.Rows.Skip(start).Take(share)))
            {
                yield return row;
            }

            done += share;
        }

        Assert.All(ranks, rank => Assert.Equal(done, rank.Rows.Count));
    }

    // Rows of all experts, one behind the other: w1 above w3, both shared by rows; w2 shared by columns.
    private static IEnumerable<byte[]> Experts(string name, Loaded[] ranks, Loaded whole)
    {
        const int experts = 4;
        if (name.EndsWith("w2_weight", StringComparison.Ordinal))
        {
            return Enumerable.Range(0, whole.Rows.Count).Select(row => ranks.SelectMany(rank => rank.Rows[row]).ToArray());
        }

        var share = Wide / ranks.Length;
        return
            from expert in Enumerable.Range(0, experts)
            from half in Enumerable.Range(0, 2)
            from rank in ranks
            from row in rank.Rows.Skip((((expert * 2) + half) * share)).Take(share)
            select row;
    }

    private static IReadOnlyList<byte[]> Same(Loaded[] ranks)
    {
        Assert.All(ranks, rank => Assert.Equal(ranks[0].Rows.SelectMany(row => row), rank.Rows.SelectMany(row => row)));
        return ranks[0].Rows;
    }

    private static async Task<Dictionary<string, Loaded>> LoadAsync(ModelConfig config, Checkpoint checkpoint, int world, int rank)
    {
        var context = new ModelContext { Config = config, DType = DType.F16, Parallel = new TensorParallel(world, rank) };
        var device = new HostDevice();
        var loaded = new Dictionary<string, Loaded>();
        using (var model = ModelInitializer.Initialize(context))
        {
            var plan = new ModuleLoader().Plan(
                model, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device, ExactSlices = true, StagingBytes = 1 << 20 } });
            // What the file has of this rank's parameters and nothing else, but for the rest of a block that a share cuts.
            var cuts = plan.Reads.Tensors.Sum(piece => piece is { HasSegments: true } && piece.Segments.CutsGroups ? piece.SourceByteLength : 0);
            Assert.Equal(plan.Reads.BytesNeeded, plan.Reads.BytesToRead);
            Assert.InRange(plan.Reads.BytesToRead, 0, (checkpoint.Tensors.Sum(tensor => tensor.DataByteLength) / world * 102 / 100) + cuts + Replicated(checkpoint, world));
            await new ModuleLoader().LoadAsync(plan);
            foreach (var (name, parameter) in model.NamedParameters())
            {
                var row = parameter.Shape.Rank == 1 ? parameter.DType.BlockSize : parameter.DType.ByteCount(parameter.Shape[^1]);
                loaded.Add(name, new Loaded([.. parameter.Data.AsSpan<byte>().ToArray().Chunk((int)row)]));
            }
        }

        Assert.Equal(0, device.LiveAllocations);
        return loaded;
    }

    // What each rank has whole: norms, routers, biases of what is reduced; and heads of keys and values that several ranks have.
    private static long Replicated(Checkpoint checkpoint, int world) => checkpoint.Tensors
        .Where(tensor => tensor.Shape.Rank == 1
            || tensor.Name.Contains("block_sparse_moe.gate.", StringComparison.Ordinal)
            || tensor.Name.Contains("wpe", StringComparison.Ordinal)
            || (world > KeyValueHeads && (tensor.Name.Contains("k_proj", StringComparison.Ordinal) || tensor.Name.Contains("v_proj", StringComparison.Ordinal)
                || tensor.Name.Contains("attn_k", StringComparison.Ordinal) || tensor.Name.Contains("attn_v", StringComparison.Ordinal) || tensor.Name.Contains("qkv", StringComparison.Ordinal))))
        .Sum(tensor => tensor.DataByteLength);

    private static async Task<Checkpoint> OpenAsync(string architecture, string format, TemporaryFolder folder)
    {
        if (format == "gguf")
        {
            return await Gguf().OpenAsync();
        }

        var sample = Sample.Make(7, Tensors(architecture));
        if (format == "safetensors")
        {
            return await sample.OpenAsync();
        }

        var file = folder["model.pt"];
        await using (var checkpoint = await sample.OpenAsync())
        {
            await CheckpointConverter.ConvertAsync(checkpoint, file);
        }

        return await Checkpoint.OpenAsync(file);
    }

    private static IEnumerable<(string Name, DType DType, long[] Shape)> Tensors(string architecture)
    {
        var (prefix, norm) = architecture == "GPT2LMHeadModel" ? ("", "ln_f") : ("model.", "model.norm");
        var names = new List<(string, long[])>();
        if (architecture == "GPT2LMHeadModel")
        {
            names.AddRange([("wte.weight", [Vocabulary, Hidden]), ("wpe.weight", [64, Hidden]), ("ln_f.weight", [Hidden]), ("ln_f.bias", [Hidden])]);
        }
        else
        {
            names.AddRange([("model.embed_tokens.weight", [Vocabulary, Hidden]), ($"{norm}.weight", [Hidden]), ("lm_head.weight", [Vocabulary, Hidden])]);
        }

        for (var layer = 0; layer < 2; layer++)
        {
            names.AddRange(Layer(architecture).Select(tensor => (string.Create(CultureInfo.InvariantCulture, $"{prefix}{(prefix.Length == 0 ? "h" : "layers")}.{layer}.{tensor.Name}"), tensor.Shape)));
        }

        return names.Select(tensor => (tensor.Item1, DType.F16, tensor.Item2));
    }

    private static IEnumerable<(string Name, long[] Shape)> Layer(string architecture)
    {
        const long keyValue = KeyValueHeads * HeadSize;
        (string, long[])[] norms = [("input_layernorm.weight", [Hidden]), ("post_attention_layernorm.weight", [Hidden])];
        (string, long[])[] attention =
        [
            ("self_attn.q_proj.weight", [Hidden, Hidden]), ("self_attn.k_proj.weight", [keyValue, Hidden]), ("self_attn.v_proj.weight", [keyValue, Hidden]), ("self_attn.o_proj.weight", [Hidden, Hidden]),
        ];
        (string, long[])[] biases = [("self_attn.q_proj.bias", [Hidden]), ("self_attn.k_proj.bias", [keyValue]), ("self_attn.v_proj.bias", [keyValue]), ("self_attn.o_proj.bias", [Hidden])];
        (string, long[])[] feedForward = [("mlp.gate_proj.weight", [Wide, Hidden]), ("mlp.up_proj.weight", [Wide, Hidden]), ("mlp.down_proj.weight", [Hidden, Wide])];
        return architecture switch
        {
            "LlamaForCausalLM" => [.. norms, .. attention, .. biases, .. feedForward],
            "Qwen3ForCausalLM" => [.. norms, .. attention, .. biases, .. feedForward, ("self_attn.q_norm.weight", [HeadSize]), ("self_attn.k_norm.weight", [HeadSize])],
            "MixtralForCausalLM" =>
            [
                .. norms,
                .. attention,
                ("block_sparse_moe.gate.weight", [4, Hidden]),
                .. Enumerable.Range(0, 4).SelectMany(expert => new (string, long[])[]
                {
                    ($"block_sparse_moe.experts.{expert}.w1.weight", [Wide, Hidden]), ($"block_sparse_moe.experts.{expert}.w2.weight", [Hidden, Wide]), ($"block_sparse_moe.experts.{expert}.w3.weight", [Wide, Hidden]),
                }),
            ],
            "Phi3ForCausalLM" =>
            [
                .. norms,
                ("self_attn.qkv_proj.weight", [Hidden + (2 * keyValue), Hidden]),
                ("self_attn.o_proj.weight", [Hidden, Hidden]),
                ("mlp.gate_up_proj.weight", [2 * Wide, Hidden]),
                ("mlp.down_proj.weight", [Hidden, Wide]),
            ],
            _ =>
            [
                ("ln_1.weight", [Hidden]), ("ln_1.bias", [Hidden]), ("ln_2.weight", [Hidden]), ("ln_2.bias", [Hidden]),
                // [inputs, outputs], as GPT-2's convolutions have them.
                ("attn.c_attn.weight", [Hidden, 3 * Hidden]), ("attn.c_attn.bias", [3 * Hidden]), ("attn.c_proj.weight", [Hidden, Hidden]), ("attn.c_proj.bias", [Hidden]),
                ("mlp.c_fc.weight", [Hidden, Wide]), ("mlp.c_fc.bias", [Wide]), ("mlp.c_proj.weight", [Wide, Hidden]), ("mlp.c_proj.bias", [Hidden]),
            ],
        };
    }

    // Blocks of 32: the shares of 44 columns that eight ranks have of the down projection begin and end inside them.
    private static GgufSample Gguf()
    {
        const long keyValue = KeyValueHeads * HeadSize;
        var sample = new GgufSample();
        sample.Builder
            .Add("general.architecture", "llama")
            .Add("llama.block_count", 2u)
            .Add("llama.embedding_length", (uint)Hidden)
            .Add("llama.feed_forward_length", (uint)Wide)
            .Add("llama.attention.head_count", (uint)Heads)
            .Add("llama.attention.head_count_kv", (uint)KeyValueHeads);
        sample.Add("token_embd.weight", 8, Vocabulary, Hidden).Add("output_norm.weight", 0, Hidden).Add("output.weight", 2, Vocabulary, Hidden);
        for (var layer = 0; layer < 2; layer++)
        {
            var prefix = string.Create(CultureInfo.InvariantCulture, $"blk.{layer}.");
            sample
                .Add(prefix + "attn_norm.weight", 0, Hidden)
                .Add(prefix + "attn_q.weight", 2, Hidden, Hidden)
                .Add(prefix + "attn_k.weight", 8, keyValue, Hidden)
                .Add(prefix + "attn_v.weight", 1, keyValue, Hidden)
                .Add(prefix + "attn_output.weight", 8, Hidden, Hidden)
                .Add(prefix + "ffn_norm.weight", 0, Hidden)
                .Add(prefix + "ffn_gate.weight", 2, Wide, Hidden)
                .Add(prefix + "ffn_up.weight", 8, Wide, Hidden)
                .Add(prefix + "ffn_down.weight", 8, Hidden, Wide);
        }

        return sample;
    }

    private sealed record Loaded(IReadOnlyList<byte[]> Rows);
}
