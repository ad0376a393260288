using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>
/// What N ranks have loaded of a checkpoint, split anew over M ranks, is what M ranks load of that checkpoint, bit for bit: packed and replicated heads, padded vocabularies, ties, experts, biases, transposed weights.
/// </summary>
[Trait("Area", "ShardedState")]
public sealed class ReshardedModelsTests
{
    private const string Fields =
        """
        "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 4, "intermediate_size": 352, "vocab_size": 100, "n_embd": 256, "n_layer": 2, "n_head": 8, "n_inner": 352,
        "n_positions": 64, "num_local_experts": 4, "attention_bias": true
        """;

    [Theory]
    [InlineData("LlamaForCausalLM", false)]
    [InlineData("Qwen2ForCausalLM", false)]
    [InlineData("Qwen3ForCausalLM", false)]
    [InlineData("MixtralForCausalLM", false)]
    [InlineData("MixtralForCausalLM", true)]
    [InlineData("GemmaForCausalLM", false)]
    [InlineData("Phi3ForCausalLM", false)]
    [InlineData("GPT2LMHeadModel", false)]
    public async Task Ranks_split_anew_have_what_as_many_ranks_load(string architecture, bool expertParallel)
    {
        using var folder = new TemporaryFolder();
        await using var checkpoint = await RanksSample.OpenAsync(architecture, "safetensors", folder);
        var isTied = architecture is "GPT2LMHeadModel" or "GemmaForCausalLM" ? "true" : "false";
        var config = ModelSample.Config(architecture, $"{Fields}, \"head_dim\": {RanksSample.HeadSizeOf(architecture)}, \"tie_word_embeddings\": {isTied}");
        await CheckAsync(
            checkpoint,
            (world, rank) => new ModelContext { Config = config, DType = DType.F16, Parallel = new TensorParallel(world, rank), ExpertParallel = expertParallel },
            expertParallel ? [1, 2, 4] : [1, 2, 4, 8]);
    }

    // The vocabulary is padded to other numbers on three, five, six and seven ranks.
    [Theory]
    [InlineData(12, 6, 36, new[] { 1, 2, 3, 6 })]
    [InlineData(12, 2, 24, new[] { 2, 4, 6 })]
    [InlineData(35, 35, 70, new[] { 1, 5, 7 })]
    public async Task Numbers_of_ranks_need_not_divide_one_another(int heads, int keyValueHeads, int wide, int[] worlds)
    {
        var (sample, config) = RanksSample.LlamaOf(heads, keyValueHeads, wide, isTied: false);
        await using var checkpoint = await sample.OpenAsync();
        await CheckAsync(checkpoint, (world, rank) => ModelSample.Context(config, world, rank), worlds);
    }

    private static async Task CheckAsync(Checkpoint checkpoint, Func<int, int, ModelContext> context, int[] worlds)
    {
        var loaded = new Dictionary<int, List<Dictionary<string, byte[]>>>();
        foreach (var world in worlds)
        {
            loaded.Add(world, []);
            for (var rank = 0; rank < world; rank++)
            {
                using var model = ModelInitializer.Initialize(context(world, rank));
                await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint));
                loaded[world].Add(ReshardRun.BytesOf(model));
            }
        }

        foreach (var (from, to) in worlds.SelectMany(from => worlds.Select(to => (from, to))))
        {
            for (var rank = 0; rank < to; rank++)
            {
                var run = new ReshardRun(loaded[from], saved => ModelInitializer.Initialize(context(from, saved)));
                using (var model = ModelInitializer.Initialize(context(to, rank)))
                {
                    var result = await run.ReshardAsync(model);
                    var have = ReshardRun.BytesOf(model);
                    var expected = loaded[to][rank];
                    Assert.Equal(expected.Keys, have.Keys);
                    Assert.All(expected, entry => Assert.True(entry.Value.AsSpan().SequenceEqual(have[entry.Key]), $"{entry.Key} of rank {rank} of {to}, from {from}"));
                    Assert.Equal(model.NamedParameters().Count(), result.TensorCount);
                    Assert.Equal(run.Reads.Sum(read => (long)loaded[from][read.Rank][read.Name].Length), result.BytesRead);
                    Assert.Equal(result.TensorCount, run.Device.LiveAllocations);
                }

                Assert.Equal(0, run.Device.LiveAllocations);
                // Of the embedding a rank reads what has its rows, and no other share.
                Assert.InRange(run.Reads.Count(read => read.Name.EndsWith("lm_head.weight", StringComparison.Ordinal)), 0, (from / to) + 2);
            }
        }
    }
}
