using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class AdaptedModelTests
{
    [Theory]
    [InlineData(ModelTask.Generate, "LlamaForCausalLM")]
    [InlineData(ModelTask.Classify, "LlamaForCausalLM")]
    [InlineData(ModelTask.Embed, "LlamaForEmbedding")]
    [InlineData(ModelTask.Reward, "LlamaForReward")]
    public void A_task_may_adapt_the_class_and_never_the_architecture(ModelTask task, string expected)
    {
        var (model, architecture) = ModelRegistry.Default.GetModelArchitecture(Context(task));
        Assert.Equal((expected, "LlamaForCausalLM"), (model.Name, architecture));
        Assert.True(ModelRegistry.Default.TryGet("LlamaForCausalLM", out var plain));
        Assert.Same(plain.PackedModules, model.PackedModules);
        Assert.Equal(task is ModelTask.Generate or ModelTask.Classify, ReferenceEquals(plain, model));
    }

    [Theory]
    [InlineData("GPT2LMHeadModel", "GPT2ForReward")]
    [InlineData("XForConditionalGeneration", "XForReward")]
    [InlineData("YChatModel", "YForReward")]
    [InlineData("Bert", "BertForReward")]
    public void The_name_says_the_task_in_place_of_generation(string name, string expected)
    {
        var registry = new ModelRegistry();
        registry.Register(name, new ModelClass(name, (_, _) => new Module()));
        Assert.Equal(expected, registry.GetModelClass(ModelSample.Context(ModelSample.Config(name, ModelSample.Sizes)) with { Task = ModelTask.Reward }).Name);
    }

    [Fact]
    public void An_embedding_model_has_everything_but_the_output_head()
    {
        using var plain = ModelInitializer.Initialize(Context(ModelTask.Generate));
        using var model = ModelInitializer.Initialize(Context(ModelTask.Embed));
        Assert.Equal(ModelSample.Describe(plain).Where(name => !name.StartsWith("lm_head", StringComparison.Ordinal)), ModelSample.Describe(model));
        Assert.Equal("for this task the model has no output head", model.Route("lm_head.weight").SkippedSince);
        Assert.Equal(model.NamedParameters().First().Parameter, Assert.Single(model.Route("model.embed_tokens.weight").Targets).Parameter);
        Assert.Equal("k", Assert.Single(model.Route("model.layers.0.self_attn.k_proj.weight").Targets).Shard.Part);
        Assert.True(model.Route("adapter.weight").IsUnknown);
    }

    [Fact]
    public void Weights_saved_without_a_head_lack_the_prefix()
    {
        using var model = ModelInitializer.Initialize(Context(ModelTask.Embed));
        Assert.Equal(model.Route("model.layers.0.mlp.up_proj.weight").Targets.ToArray(), model.Route("layers.0.mlp.up_proj.weight").Targets.ToArray());
        Assert.NotEmpty(model.Route("norm.weight").Targets);
    }

    [Theory]
    [InlineData("", 2)]
    [InlineData(", \"num_labels\": 1", 1)]
    [InlineData(", \"id2label\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}, \"num_labels\": 7", 3)]
    [InlineData(", \"id2label\": {}, \"num_labels\": 7", 7)]
    public void A_reward_model_has_a_score_head_instead(string more, int labels)
    {
        using var model = ModelInitializer.Initialize(Context(ModelTask.Reward, more, 2));
        Assert.Equal($"score.weight [{labels}, 32]", ModelSample.Describe(model).Last());
        Assert.False(model.TryGetParameter("lm_head.weight", out _));
        Assert.Equal("score.weight", Assert.Single(model.Route("score.weight").Targets).Parameter.Name);
        Assert.NotNull(model.Route("lm_head.weight").SkippedSince);
    }

    [Fact]
    public void A_score_head_of_the_models_own_stays()
    {
        var registry = new ModelRegistry();
        registry.Register("Own", (_, _) =>
        {
            var module = new Module();
            module.Register("score", new NormLayer(5, Formats.DType.F32));
            return module;
        });
        using var model = ModelInitializer.Initialize(
            ModelSample.Context(ModelSample.Config("Own", ModelSample.Sizes)) with { Task = ModelTask.Reward }, registry: registry);
        Assert.Equal(["score.weight [5]"], ModelSample.Describe(model));
    }

    [Theory]
    [InlineData(ModelTask.Embed)]
    [InlineData(ModelTask.Reward)]
    public void A_model_that_pools_already_stays_as_it_is(ModelTask task)
    {
        var registry = new ModelRegistry();
        var own = new ModelClass("Own", (_, _) => new Module()) { IsPooling = true };
        registry.Register("Own", own);
        Assert.Same(own, registry.GetModelClass(ModelSample.Context(ModelSample.Config("Own", ModelSample.Sizes)) with { Task = task }));
    }

    [Fact]
    public void A_tied_embedding_survives_the_head_and_all_is_disposed_once()
    {
        var model = ModelInitializer.Initialize(Context(ModelTask.Embed, ", \"tie_word_embeddings\": true"));
        Assert.True(model.TryGetParameter("model.embed_tokens.weight", out var embedding));
        Assert.False(embedding.Data.IsDisposed);
        model.Dispose();
        Assert.True(embedding.Data.IsDisposed);
        model.Dispose();
    }

    [Fact]
    public void The_head_that_is_left_out_is_disposed_with_the_model()
    {
        Parameter? head = null;
        var registry = new ModelRegistry();
        registry.Register("Own", (_, _) =>
        {
            var module = new Module();
            var layer = module.Register("lm_head", new NormLayer(5, Formats.DType.F32));
            head = layer.Parameters["weight"];
            return module;
        });
        var model = ModelInitializer.Initialize(ModelSample.Context(ModelSample.Config("Own", ModelSample.Sizes)) with { Task = ModelTask.Embed }, registry: registry);
        Assert.Empty(model.NamedParameters());
        model.Dispose();
        Assert.True(head!.Data.IsDisposed);
    }

    private static ModelContext Context(ModelTask task, string more = "", int world = 1) =>
        ModelSample.Context(ModelSample.Config("LlamaForCausalLM", ModelSample.Sizes + more), world) with { Task = task };
}
