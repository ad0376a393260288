using System.Text.Json;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ModelRegistryTests
{
    private const string Generic = ModelRegistry.GenericArchitecture;

    [Theory]
    [InlineData("LlamaForCausalLM")]
    [InlineData("MistralForCausalLM")]
    [InlineData("MixtralForCausalLM")]
    [InlineData("Qwen2ForCausalLM")]
    [InlineData("Qwen3ForCausalLM")]
    [InlineData("GemmaForCausalLM")]
    [InlineData("Phi3ForCausalLM")]
    [InlineData("GPT2LMHeadModel")]
    public void An_architecture_is_found_by_its_name(string architecture)
    {
        var context = Context(architecture);
        var (model, name) = ModelRegistry.Default.GetModelArchitecture(context);
        Assert.Equal((architecture, architecture), (model.Name, name));
        Assert.Same(model, ModelRegistry.Default.GetModelClass(context));
        Assert.Equal(architecture, ModelRegistry.Default.GetArchitectureName(context));
        Assert.Contains(architecture, ModelRegistry.Default.SupportedArchitectures);
    }

    [Fact]
    public void The_first_architecture_that_is_known_is_taken()
    {
        var config = ModelSample.Config("""{"architectures": ["Unheard", "Qwen2ForCausalLM", "LlamaForCausalLM"]}""");
        Assert.Equal("Qwen2ForCausalLM", ModelRegistry.Default.GetArchitectureName(ModelSample.Context(config)));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"architectures": []}""")]
    [InlineData("""{"architectures": null}""")]
    [InlineData("""{"architectures": "LlamaForCausalLM"}""")]
    public void A_configuration_without_architectures_is_refused_with_what_is_expected(string json)
    {
        foreach (var implementation in Enum.GetValues<ModelImplementation>())
        {
            var exception = Assert.Throws<InvalidCheckpointException>(
                () => ModelRegistry.Default.GetModelClass(ModelSample.Context(ModelSample.Config(json)) with { Implementation = implementation }));
            Assert.Equal((CheckpointErrorCode.ConfigInvalid, "config.json"), (exception.Code, exception.File));
            Assert.Contains("architectures, a list with a name such as \"LlamaForCausalLM\", is expected", exception.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("gptq", "QuantMixtralForCausalLM")]
    [InlineData("awq", "QuantMixtralForCausalLM")]
    [InlineData("bitsandbytes", "QuantMixtralForCausalLM")]
    [InlineData("fp8", "MixtralForCausalLM")]
    [InlineData("compressed-tensors", "MixtralForCausalLM")]
    [InlineData("gptq_marlin", "MixtralForCausalLM")]
    [InlineData("awq_marlin", "MixtralForCausalLM")]
    [InlineData("quark", "MixtralForCausalLM")]
    [InlineData(null, "MixtralForCausalLM")]
    public void A_quantised_mixtral_has_experts_of_its_own_unless_its_method_packs_them(string? method, string expected)
    {
        var context = Context("MixtralForCausalLM");
        Assert.Equal(expected, ModelRegistry.Default.GetArchitectureName(method is null ? context : context with { QuantizationMethod = method }));
        var named = ModelSample.Config("MixtralForCausalLM", $$"""{{ModelSample.Sizes}}, "quantization_config": {{JsonSerializer.Serialize(new { quant_method = method })}}""");
        Assert.Equal(expected, ModelRegistry.Default.GetArchitectureName(ModelSample.Context(named) with { Implementation = ModelImplementation.Native }));
        // Others are as they are, and so is the generic layout.
        Assert.Equal("LlamaForCausalLM", ModelRegistry.Default.GetArchitectureName(Context("LlamaForCausalLM") with { QuantizationMethod = "gptq" }));
    }

    [Fact]
    public async Task Without_a_native_layout_the_generic_one_is_taken_with_a_warning()
    {
        var warnings = new RecordedWarnings();
        await using var sample = await WeightsSample.OpenAsync(("a.weight", [2, 3]));
        var context = Context("Unheard\u001bOf") with { Checkpoint = sample.Checkpoint, Warnings = new WarningLog(warnings) };
        Assert.Equal(Generic, ModelRegistry.Default.GetArchitectureName(context));
        Assert.Equal(Generic, ModelRegistry.Default.GetArchitectureName(context));
        var text = Assert.Single(warnings.Texts);
        Assert.StartsWith("'Unheard\\u001bOf' has no native layout", text, StringComparison.Ordinal);
        Assert.DoesNotContain("auto_map", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_generic_layout_can_be_asked_for_without_a_warning()
    {
        var warnings = new RecordedWarnings();
        await using var sample = await WeightsSample.OpenAsync(("a.weight", [2, 3]));
        var context = Context("LlamaForCausalLM") with
        {
            Checkpoint = sample.Checkpoint,
            Warnings = new WarningLog(warnings),
            Implementation = ModelImplementation.Generic,
        };
        Assert.Equal(Generic, ModelRegistry.Default.GetArchitectureName(context));
        Assert.Equal(Generic, ModelRegistry.Default.GetArchitectureName(context with { Config = ModelSample.Config("MixtralForCausalLM", ModelSample.Sizes), QuantizationMethod = "gptq" }));
        Assert.Empty(warnings.Texts);
    }

    [Theory]
    [InlineData(ModelImplementation.Auto)]
    [InlineData(ModelImplementation.Native)]
    [InlineData(ModelImplementation.Generic)]
    public void The_generic_architecture_may_be_the_configurations_own(ModelImplementation implementation)
    {
        var warnings = new RecordedWarnings();
        var context = Context(Generic) with { Warnings = new WarningLog(warnings), Implementation = implementation };
        Assert.Equal(Generic, ModelRegistry.Default.GetArchitectureName(context));
        Assert.Empty(warnings.Texts);
    }

    [Fact]
    public void Asked_for_a_native_layout_that_there_is_not_the_known_ones_are_listed()
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(
            () => ModelRegistry.Default.GetModelClass(Context("Unheard") with { Implementation = ModelImplementation.Native }));
        Assert.Equal("config.json", exception.File);
        Assert.Contains("there is no layout for 'Unheard'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("GPT2LMHeadModel, GemmaForCausalLM, LlamaForCausalLM", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ModelImplementation.Auto)]
    [InlineData(ModelImplementation.Generic)]
    public void A_model_of_no_library_and_without_a_class_of_its_own_is_not_to_be_found(ModelImplementation implementation)
    {
        var config = ModelSample.Config("""{"architectures": ["Unheard"], "auto_map": {"AutoConfig": "configuration.UnheardConfig"}}""");
        var exception = Assert.Throws<UnsupportedCheckpointException>(
            () => ModelRegistry.Default.GetModelClass(ModelSample.Context(config) with { Implementation = implementation }));
        Assert.Contains("'Unheard' is not to be found: there is no model_type", exception.Message, StringComparison.Ordinal);
        Assert.Contains("no AutoModel in auto_map", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("modeling.UnheardModel")]
    [InlineData("someone/unheard--modeling.sub.UnheardModel")]
    public async Task A_class_in_auto_map_is_read_and_not_run(string reference)
    {
        var warnings = new RecordedWarnings();
        await using var sample = await WeightsSample.OpenAsync(("a.weight", [2, 3]));
        var config = ModelSample.Config(
            $$"""{"architectures": ["Unheard"], "auto_map": {"AutoModel": "{{reference}}", "AutoTokenizer": ["tokenization.T", null]} }""");
        var context = ModelSample.Context(config) with { Checkpoint = sample.Checkpoint, Warnings = new WarningLog(warnings) };
        Assert.Equal(Generic, ModelRegistry.Default.GetArchitectureName(context));
        Assert.EndsWith("The code that auto_map names is not run.", Assert.Single(warnings.Texts), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "auto_map: it is '[]'; an object of names is expected.")]
    [InlineData("""{"AutoModel": ["a.B"]}""", "auto_map: AutoModel: it is '[\"a.B\"]'; \"module.Class\" or \"repository--module.Class\" is expected.")]
    [InlineData("""{"AutoModel": "Model"}""", "auto_map: AutoModel: it is '\"Model\"'; \"module.Class\" or \"repository--module.Class\" is expected.")]
    [InlineData("""{"AutoModel": "--a.B"}""", "auto_map: AutoModel: it is '\"--a.B\"'; \"module.Class\" or \"repository--module.Class\" is expected.")]
    [InlineData("""{"AutoModel": "a."}""", "auto_map: AutoModel: it is '\"a.\"'; \"module.Class\" or \"repository--module.Class\" is expected.")]
    [InlineData("""{"AutoModel": {}}""", "auto_map: AutoModel: it is '{}'; \"module.Class\" or \"repository--module.Class\" is expected.")]
    public void A_class_in_auto_map_that_cannot_be_one_is_refused(string map, string problem)
    {
        var config = ModelSample.Config($$"""{"architectures": ["Unheard"], "model_type": "unheard", "auto_map": {{map}} }""");
        var exception = Assert.Throws<InvalidCheckpointException>(() => ModelRegistry.Default.GetModelClass(ModelSample.Context(config)));
        Assert.Equal((CheckpointErrorCode.ConfigInvalid, problem), (exception.Code, exception.Problem));
        // Nobody asks for it where there is a native layout.
        var known = ModelSample.Config($$"""{"architectures": ["LlamaForCausalLM"], "auto_map": {{map}} }""");
        Assert.Equal("LlamaForCausalLM", ModelRegistry.Default.GetArchitectureName(ModelSample.Context(known)));
    }

    [Theory]
    [InlineData(ModelImplementation.Auto, "'Unheard' has no native layout, and does not fit the generic one either: the generic layout is made of the names and shapes of the weights, and no weights were given.")]
    [InlineData(ModelImplementation.Generic, "'Unheard' does not fit the generic layout: the generic layout is made of the names and shapes of the weights, and no weights were given.")]
    public void Without_weights_there_is_no_generic_layout(ModelImplementation implementation, string expected)
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => ModelRegistry.Default.GetModelClass(Context("Unheard") with { Implementation = implementation }));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ModelImplementation.Auto, "'Unheard' has no native layout, and does not fit the generic one either: ")]
    [InlineData(ModelImplementation.Generic, "'Unheard' does not fit the generic layout: ")]
    public async Task Weights_that_ranks_cannot_share_fit_no_generic_layout(ModelImplementation implementation, string expected)
    {
        await using var sample = await WeightsSample.OpenAsync(("model.layers.0.self_attn.qkv_proj.weight", [12, 4]));
        var context = ModelSample.Context(ModelSample.Config("Unheard", ModelSample.Sizes), 2) with { Checkpoint = sample.Checkpoint, Implementation = implementation };
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => ModelRegistry.Default.GetModelClass(context));
        Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        Assert.Contains("model.layers.0.self_attn.qkv_proj.weight", exception.Message, StringComparison.Ordinal);
        Assert.Equal(Generic, ModelRegistry.Default.GetArchitectureName(context with { Parallel = new TensorParallel(1, 0) }));
    }

    [Fact]
    public void A_class_of_ones_own_is_registered_and_replaces_another()
    {
        var registry = new ModelRegistry();
        registry.Register("Unheard", (_, _) => new Module());
        Assert.Equal("Unheard", registry.GetModelClass(Context("Unheard")).Name);
        var own = new ModelClass("Own", (_, _) => new Module());
        registry.Register("LlamaForCausalLM", own);
        Assert.Same(own, registry.GetModelClass(Context("LlamaForCausalLM")));
        Assert.Equal("LlamaForCausalLM", registry.GetArchitectureName(Context("LlamaForCausalLM")));
        string[] expected = [.. new ModelRegistry().SupportedArchitectures, "Unheard"];
        Assert.Equal(expected, registry.SupportedArchitectures.ToArray());
        Assert.DoesNotContain("Unheard", ModelRegistry.Default.SupportedArchitectures);
    }

    private static ModelContext Context(string architecture) => ModelSample.Context(
        ModelSample.Config($$"""{"architectures": [{{JsonSerializer.Serialize(architecture)}}], "model_type": "x"}"""));
}
