using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>GGUF files that no native layout fits: the generic one takes them, and a native one says itself what it misses.</summary>
public sealed class GgufConfigurationTests
{
    [Fact]
    public async Task Of_AnArchitectureWithoutALayout_HasItsOwnName()
    {
        await using var checkpoint = await Falcon().OpenAsync();
        var config = GgufConfiguration.Of(checkpoint);
        Assert.Equal("falcon", Assert.Single(config.Architectures));
        Assert.Equal(("falcon", 6L, 2L), (config.ModelType, config.VocabularySize, config.HeadCount));
    }

    // transformers' defaults for Qwen3 are 32 key and value heads of 128.
    [Fact]
    public async Task Of_KeysThatAreMissing_HasWhatLlamaCppTakesForThem()
    {
        var sample = new GgufSample();
        sample.Builder.Add("general.architecture", "qwen3").Add("qwen3.embedding_length", 64u).Add("qwen3.attention.head_count", 4u);
        await using var checkpoint = await sample.Add("token_embd.weight", 0, 6, 64).OpenAsync();
        var config = GgufConfiguration.Of(checkpoint);
        Assert.Equal((4L, 16L), (config.KeyValueHeadCount, config.Root.GetProperty("head_dim").GetInt64()));
    }

    [Theory]
    [InlineData(ModelImplementation.Auto)]
    [InlineData(ModelImplementation.Generic)]
    public async Task Load_AnArchitectureWithoutALayout_GetsTheGenericOne(ModelImplementation implementation)
    {
        var sample = Falcon();
        await using var checkpoint = await sample.OpenAsync();
        var warnings = new RecordedWarnings();
        using var model = ModelInitializer.Initialize(ContextOf(checkpoint, implementation) with { Warnings = warnings.ToLog() });
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint));
        var parameters = model.NamedParameters().ToDictionary(entry => entry.Name, entry => entry.Parameter);
        Assert.Equal(["token_embd.weight", "blk.0.attn_qkv.weight", "blk.0.attn_norm.weight"], parameters.Keys);
        Assert.Equal(sample.Values("token_embd.weight").SelectMany(row => row), parameters["token_embd.weight"].Data.AsSpan<float>().ToArray());
        Assert.Equal(sample.Values("blk.0.attn_qkv.weight").SelectMany(row => row), parameters["blk.0.attn_qkv.weight"].Data.AsSpan<float>().ToArray());
        Assert.Equal(sample.VectorValues("blk.0.attn_norm.weight"), parameters["blk.0.attn_norm.weight"].Data.AsSpan<float>().ToArray());
        Assert.Equal(implementation == ModelImplementation.Auto ? 1 : 0, warnings.Texts.Count(text => text.Contains("'falcon' has no native layout", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Initialize_AnArchitectureWithoutALayoutNatively_IsRefused()
    {
        await using var checkpoint = await Falcon().OpenAsync();
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => ModelInitializer.Initialize(ContextOf(checkpoint, ModelImplementation.Native)));
        Assert.Contains("there is no layout for 'falcon'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Initialize_TensorsThatAreNoModel_IsRefusedByTheNativeLayoutAlone()
    {
        var sample = new GgufSample();
        sample.Builder
            .Add("general.architecture", "llama").Add("llama.block_count", 1u).Add("llama.embedding_length", 64u).Add("llama.feed_forward_length", 64u).Add("llama.attention.head_count", 2u);
        sample.Add("blk.0.attn_q.weight.lora_a", 1, 4, 64);
        await using var checkpoint = await sample.OpenAsync();
        Assert.Null(GgufConfiguration.Of(checkpoint).VocabularySize);
        var exception = Assert.Throws<InvalidCheckpointException>(() => ModelInitializer.Initialize(ContextOf(checkpoint, ModelImplementation.Auto)));
        Assert.Contains("vocab_size: it is missing", exception.Message, StringComparison.Ordinal);
        using var model = ModelInitializer.Initialize(ContextOf(checkpoint, ModelImplementation.Generic));
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint));
        Assert.Equal(sample.Values("blk.0.attn_q.weight.lora_a").SelectMany(row => row), Assert.Single(model.NamedParameters()).Parameter.Data.AsSpan<float>().ToArray());
    }

    [Fact]
    public async Task Initialize_LayersThatDiffer_IsRefusedByTheNativeLayoutAlone()
    {
        var sample = new GgufSample();
        sample.Builder
            .Add("general.architecture", "llama").Add("llama.block_count", 2u).Add("llama.embedding_length", 64u).Add("llama.feed_forward_length", 64u)
            .Add("llama.attention.head_count", new[] { 2u, 4u });
        sample.Add("token_embd.weight", 8, 6, 64);
        await using var checkpoint = await sample.OpenAsync();
        var exception = Assert.Throws<InvalidCheckpointException>(() => ModelInitializer.Initialize(ContextOf(checkpoint, ModelImplementation.Auto)));
        Assert.Contains("num_attention_heads", exception.Message, StringComparison.Ordinal);
        Assert.Contains("llama.attention.head_count is not one number for all layers", exception.Message, StringComparison.Ordinal);
        using var model = ModelInitializer.Initialize(ContextOf(checkpoint, ModelImplementation.Generic));
        Assert.Equal("token_embd.weight", Assert.Single(model.NamedParameters()).Name);
    }

    [Fact]
    public async Task Of_AFileThatSaysNoArchitecture_IsRefused()
    {
        await using var checkpoint = await new GgufSample().Add("a", 0, 4).OpenAsync();
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => GgufConfiguration.Of(checkpoint));
        Assert.Contains("there is no config.json beside the weights", exception.Message, StringComparison.Ordinal);
    }

    private static ModelContext ContextOf(Checkpoint checkpoint, ModelImplementation implementation) =>
        new() { Config = GgufConfiguration.Of(checkpoint), DType = DType.F32, Checkpoint = checkpoint, Implementation = implementation };

    private static GgufSample Falcon()
    {
        var sample = new GgufSample();
        sample.Builder.Add("general.architecture", "falcon").Add("falcon.block_count", 1u).Add("falcon.attention.head_count", 2u);
        return sample.Add("token_embd.weight", 8, 6, 64).Add("blk.0.attn_qkv.weight", 2, 12, 64).Add("blk.0.attn_norm.weight", 0, 64);
    }
}
