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
    private const int Heads = RanksSample.Heads;
    private const int KeyValueHeads = RanksSample.KeyValueHeads;
    private const int Wide = RanksSample.Wide;

    public static TheoryData<string, string> Models => new()
    {
        { "LlamaForCausalLM", "safetensors" },
        { "LlamaForCausalLM", "pt" },
        { "LlamaForCausalLM", "gguf" },
        { "MistralForCausalLM", "safetensors" },
        { "Qwen2ForCausalLM", "safetensors" },
        { "Qwen3ForCausalLM", "safetensors" },
        { "MixtralForCausalLM", "safetensors" },
        { "MixtralForCausalLM", "pt" },
        { "MixtralForCausalLM", "gguf" },
        { "GemmaForCausalLM", "safetensors" },
        { "GemmaForCausalLM", "gguf" },
        { "Phi3ForCausalLM", "safetensors" },
        { "Phi3ForCausalLM", "gguf" },
        { "GPT2LMHeadModel", "safetensors" },
        { "GPT2LMHeadModel", "pt" },
        { "GPT2LMHeadModel", "gguf" },
    };

    [Theory]
    [MemberData(nameof(Models))]
    public async Task Load_OnRanks_PutTogetherIsWhatOneRankLoads(string architecture, string format)
    {
        using var folder = new TemporaryFolder();
        await using var checkpoint = await RanksSample.OpenAsync(architecture, format, folder);
        var headSize = RanksSample.HeadSizeOf(architecture);
        var config = format == "gguf" ? GgufConfiguration.Of(checkpoint)
            : RanksSample.ConfigOf(architecture);
        Assert.Equal(architecture, Assert.Single(config.Architectures));
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
                Assert.True(parameter.Rows.Zip(Join(name, parts, world, headSize, parameter)).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second)), $"{name} of {world} ranks");
            }
        }
    }

    // The order that the packed layout has, said once more.
    private static IEnumerable<byte[]> Join(string name, Loaded[] ranks, int world, int headSize, Loaded whole)
    {
        var module = name.Split('.')[^2];
        return module switch
        {
            "qkv_proj" or "c_attn" => Packed(
                ranks,
                Heads * headSize,
                // Fewer heads of keys and values than ranks: neighbours have the same one.
                name.Contains("c_attn", StringComparison.Ordinal) ? (Heads * headSize, 1) : (KeyValueHeads * headSize, Math.Max(1, world / KeyValueHeads)),
                name.Contains("c_attn", StringComparison.Ordinal) ? (Heads * headSize, 1) : (KeyValueHeads * headSize, Math.Max(1, world / KeyValueHeads))),
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
            // Where gaps may be read too, no more than is said of them.
            var usual = new ModuleLoader().Plan(model, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = device, StagingBytes = 1 << 20 } }).Reads;
            Assert.Equal(plan.Reads.BytesNeeded, usual.BytesNeeded);
            Assert.InRange(usual.BytesToRead, usual.BytesNeeded, usual.BytesNeeded + usual.BytesBetweenSegments);
            // Only what is computed of values is read beside it: norms that a GGUF has with 1 added to them.
            Assert.InRange(plan.ValueBytes, 0, plan.ValueLoaderCount == 0 ? 0 : checkpoint.Tensors.Where(tensor => tensor.Name.Contains("norm", StringComparison.Ordinal)).Sum(tensor => tensor.DataByteLength));
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
            || tensor.Name.Contains("ffn_gate_inp", StringComparison.Ordinal)
            || tensor.Name.Contains("wpe", StringComparison.Ordinal)
            || tensor.Name.Contains("position_embd", StringComparison.Ordinal)
            || (world > KeyValueHeads && (tensor.Name.Contains("k_proj", StringComparison.Ordinal) || tensor.Name.Contains("v_proj", StringComparison.Ordinal)
                || tensor.Name.Contains("attn_k", StringComparison.Ordinal) || tensor.Name.Contains("attn_v", StringComparison.Ordinal) || tensor.Name.Contains("qkv", StringComparison.Ordinal))))
        .Sum(tensor => tensor.DataByteLength);

    private sealed record Loaded(IReadOnlyList<byte[]> Rows);
}
