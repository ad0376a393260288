using System.Collections.Immutable;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ModelInitializerTests
{
    private static readonly ModelConfig Config = ModelSample.Config("LlamaForCausalLM", ModelSample.Sizes);

    [Fact]
    public void A_model_is_made_without_storage_and_its_parameters_know_their_names()
    {
        using var model = ModelInitializer.Initialize(ModelSample.Context(Config), "inner");
        Assert.All(model.NamedParameters(), entry => Assert.Equal((entry.Name, true), (entry.Parameter.Name, entry.Parameter.IsMeta)));
    }

    [Fact]
    public void Class_and_configuration_can_be_others_than_the_contexts()
    {
        var context = ModelSample.Context(ModelSample.Config("{}"));
        Assert.Throws<InvalidCheckpointException>(() => ModelInitializer.Initialize(context));
        ModelContext? seen = null;
        var own = new ModelClass("Own", (given, _) =>
        {
            seen = given;
            return new Module();
        });
        ModelInitializer.Initialize(context, model: own).Dispose();
        Assert.Same(context, seen);
        ModelInitializer.Initialize(context, model: own, config: Config).Dispose();
        Assert.Same(Config, seen!.Config);
        using var llama = ModelInitializer.Initialize(context, config: Config);
        Assert.Contains(llama.NamedParameters(), entry => entry.Name == "model.layers.0.self_attn.qkv_proj.weight");
    }

    [Fact]
    public void The_quantisation_gets_the_packed_table_by_reference_before_the_model_is_made()
    {
        var quantization = new Recorded();
        var packed = new OrderedDictionary<string, ImmutableArray<string>> { ["W_pack"] = ["q", "k"] };
        var mapper = new WeightNameMapper(prefixes: [new NameRule("a.", "b.")]);
        var own = new ModelClass("Own", (context, prefix) =>
        {
            // As a class that changes its own table while it is made.
            packed["late"] = ["x", "y"];
            Assert.Same(packed, context.Quantization!.PackedModules);
            return new LinearLayer(new LinearLayout(4, [new PackedPart(null, 4)]), DType.F32, context.Quantization, prefix);
        })
        {
            PackedModules = packed,
            NameMapper = mapper,
        };
        ModelInitializer.Initialize(ModelSample.Context(Config) with { Quantization = quantization }, "outer.layer", own).Dispose();
        Assert.Same(packed, quantization.PackedModules);
        Assert.Equal(["map b.x", "method for outer.layer with W_pack late"], quantization.Calls);
    }

    [Fact]
    public void A_class_that_configures_the_quantisation_itself_is_left_to_it()
    {
        var quantization = new Recorded();
        var before = quantization.PackedModules;
        var own = new ModelClass("Own", (_, _) => new Module())
        {
            PackedModules = [],
            NameMapper = new WeightNameMapper(prefixes: [new NameRule("a.", "b.")]),
            ConfiguresQuantization = true,
        };
        ModelInitializer.Initialize(ModelSample.Context(Config) with { Quantization = quantization }, model: own).Dispose();
        Assert.Same(before, quantization.PackedModules);
        Assert.Empty(quantization.Calls);
    }

    [Fact]
    public void A_class_without_a_table_or_mapper_changes_neither()
    {
        var quantization = new Recorded();
        var before = quantization.PackedModules;
        ModelInitializer.ConfigureQuantization(quantization, new ModelClass("Own", (_, _) => new Module()));
        Assert.Same(before, quantization.PackedModules);
        Assert.Empty(quantization.Calls);
    }

    [Theory]
    [InlineData("LlamaForCausalLM", "qkv_proj: q_proj k_proj v_proj; gate_up_proj: gate_proj up_proj")]
    [InlineData("MistralForCausalLM", "qkv_proj: q_proj k_proj v_proj; gate_up_proj: gate_proj up_proj")]
    [InlineData("Qwen2ForCausalLM", "qkv_proj: q_proj k_proj v_proj; gate_up_proj: gate_proj up_proj")]
    [InlineData("Qwen3ForCausalLM", "qkv_proj: q_proj k_proj v_proj; gate_up_proj: gate_proj up_proj")]
    [InlineData("GemmaForCausalLM", "qkv_proj: q_proj k_proj v_proj; gate_up_proj: gate_proj up_proj")]
    [InlineData("MixtralForCausalLM", "qkv_proj: q_proj k_proj v_proj")]
    [InlineData("QuantMixtralForCausalLM", "qkv_proj: q_proj k_proj v_proj")]
    [InlineData("Phi3ForCausalLM", "qkv_proj: qkv_proj; gate_up_proj: gate_up_proj")]
    [InlineData("GPT2LMHeadModel", "c_attn: c_attn")]
    public void Each_family_says_what_it_packs(string architecture, string expected)
    {
        Assert.True(ModelRegistry.Default.TryGet(architecture, out var model));
        Assert.Equal(expected, string.Join("; ", model.PackedModules!.Select(packed => $"{packed.Key}: {string.Join(' ', packed.Value)}")));
        var quantization = new Recorded();
        ModelInitializer.ConfigureQuantization(quantization, model);
        Assert.Same(model.PackedModules, quantization.PackedModules);
    }

    [Fact]
    public void Every_linear_layer_asks_the_quantisation_by_its_full_name()
    {
        var quantization = new Recorded();
        ModelInitializer.Initialize(ModelSample.Context(Config) with { Quantization = quantization }, "outer").Dispose();
        const string Packed = " with qkv_proj gate_up_proj";
        Assert.Equal(
            [
                "method for outer.model.layers.0.self_attn.qkv_proj" + Packed,
                "method for outer.model.layers.0.self_attn.o_proj" + Packed,
                "method for outer.model.layers.0.self_attn.attn" + Packed,
                "method for outer.model.layers.0.mlp.gate_up_proj" + Packed,
                "method for outer.model.layers.0.mlp.down_proj" + Packed,
            ],
            quantization.Calls);
    }

    [Fact]
    public async Task The_scope_is_there_while_a_model_is_made_and_restored_behind_it()
    {
        Assert.Null(ModelContext.Current);
        var context = ModelSample.Context(Config) with { DType = DType.F16 };
        var outerDType = DefaultDType.Current;
        var inner = new ModelClass("Inner", (given, prefix) =>
        {
            Assert.Equal(("outer.inner", DType.F16), (ModelContext.CurrentPrefix, DefaultDType.Current));
            Assert.Same(given, ModelContext.Current);
            throw new InvalidOperationException("On purpose.");
        });
        var outer = new ModelClass("Outer", (given, prefix) =>
        {
            var changed = given with { ExpertParallel = true };
            var exception = Assert.Throws<InvalidOperationException>(() => ModelInitializer.Initialize(changed, $"{prefix}.inner", inner));
            Assert.Equal("On purpose.", exception.Message);
            Assert.Same(given, ModelContext.Current);
            Assert.Equal("outer", ModelContext.CurrentPrefix);
            Assert.Equal("outer", Task.Run(() => ModelContext.CurrentPrefix).GetAwaiter().GetResult());
            return new Module();
        });
        ModelInitializer.Initialize(context, "outer", outer).Dispose();
        Assert.Null(ModelContext.Current);
        Assert.Equal(("", outerDType), (ModelContext.CurrentPrefix, DefaultDType.Current));

        using (context.Use("flows"))
        {
            await Task.Yield();
            Assert.Equal("flows", ModelContext.CurrentPrefix);
        }

        Assert.Equal("", ModelContext.CurrentPrefix);
    }

    [Fact]
    public void A_factory_of_an_older_signature_gets_what_it_takes_and_two_warnings()
    {
        var warnings = new RecordedWarnings();
        var quantization = new Recorded();
        var context = ModelSample.Context(Config, 2, 1) with { Quantization = quantization, Warnings = new WarningLog(warnings), DType = DType.F16 };
        var seen = new List<object?>();
        var own = ModelClass.OfOlderSignature("Own", (ModelConfig config, QuantizationConfig? method, TensorParallel parallel, DType dtype, string prefix, WarningLog log, LayerOptions options, int more = 7) =>
        {
            seen.AddRange([config, method, parallel, dtype, prefix, log, options, more, ModelContext.Current, ModelContext.CurrentPrefix]);
            return new Module();
        });
        Assert.False(own.TakesContextAndPrefix);
        ModelInitializer.Initialize(context, "p", own).Dispose();
        ModelInitializer.Initialize(context, "p", own).Dispose();
        Assert.Equal([Config, quantization, context.Parallel, DType.F16, "p", context.Warnings, context.Layers, 7, context, "p"], seen[..10]);
        Assert.Equal(2, warnings.Texts.Count);
        Assert.StartsWith("The factory of 'Own' should take a ModelContext and a prefix.", warnings.Texts[0], StringComparison.Ordinal);
        Assert.Contains("deprecated", warnings.Texts[0], StringComparison.Ordinal);
        Assert.Equal("The arguments of the factory of 'Own' are guessed by their types.", warnings.Texts[1]);
    }

    [Fact]
    public void A_factory_of_both_arguments_in_any_order_is_no_older_one()
    {
        var warnings = new RecordedWarnings();
        var own = ModelClass.OfOlderSignature("Own", (string prefix, ModelContext context, ModelConfig config) => new Module());
        Assert.True(own.TakesContextAndPrefix);
        ModelInitializer.Initialize(ModelSample.Context(Config) with { Warnings = new WarningLog(warnings) }, model: own).Dispose();
        Assert.Empty(warnings.Texts);
        Assert.False(ModelClass.OfOlderSignature("Own", (ModelContext context) => new Module()).TakesContextAndPrefix);
        Assert.False(ModelClass.OfOlderSignature("Own", () => new Module()).TakesContextAndPrefix);
    }

    [Fact]
    public void An_older_factory_throws_its_own_exception_and_the_scope_ends()
    {
        var own = ModelClass.OfOlderSignature("Own", Module (string prefix) => throw new FormatException(prefix));
        var exception = Assert.Throws<FormatException>(() => ModelInitializer.Initialize(ModelSample.Context(Config), "p", own));
        Assert.Equal("p", exception.Message);
        Assert.Null(ModelContext.Current);
    }

    [Fact]
    public void A_factory_that_asks_for_what_there_is_not_is_refused_when_it_is_registered()
    {
        var exception = Assert.Throws<ArgumentException>(() => ModelClass.OfOlderSignature("Own", (Version version) => new Module()));
        Assert.Contains("The factory of 'Own' asks for Version", exception.Message, StringComparison.Ordinal);
        Assert.Contains("ModelContext, String, ModelConfig, QuantizationConfig", exception.Message, StringComparison.Ordinal);
        exception = Assert.Throws<ArgumentException>(() => ModelClass.OfOlderSignature("Own", () => "no module"));
        Assert.Contains("gives String; it has to give a Module", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_factory_that_gives_nothing_is_named()
    {
        var exception = Assert.Throws<InvalidOperationException>(() => ModelInitializer.Initialize(ModelSample.Context(Config), model: new ModelClass("Own", (_, _) => null!)));
        Assert.Equal("The factory of 'Own' gave no model.", exception.Message);
    }

    [Theory]
    [InlineData("", DType.F32)]
    [InlineData(", \"torch_dtype\": \"bfloat16\"", DType.BF16)]
    [InlineData(", \"dtype\": \"float16\"", DType.F16)]
    [InlineData(", \"torch_dtype\": \"torch.float64\"", DType.F64)]
    [InlineData(", \"torch_dtype\": \"auto\"", DType.F32)]
    public void The_dtype_is_the_configurations_or_the_default(string more, DType expected)
    {
        var context = new ModelContext { Config = ModelSample.Config("LlamaForCausalLM", ModelSample.Sizes + more) };
        Assert.Equal(expected, context.DType);
        using var model = ModelInitializer.Initialize(context);
        Assert.All(model.NamedParameters(), entry => Assert.Equal(expected, entry.Parameter.DType));
        using (DefaultDType.Use(DType.F16))
        {
            Assert.Equal(more.Contains("float", StringComparison.Ordinal) ? expected : DType.F16, context.DType);
        }

        Assert.Equal(DType.BF16, (context with { DType = DType.BF16 }).DType);
    }

    [Fact]
    public void A_dtype_that_no_model_computes_in_is_refused()
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(
            () => new ModelContext { Config = ModelSample.Config("LlamaForCausalLM", "\"torch_dtype\": \"int8\"") }.DType);
        Assert.Contains("torch_dtype is 'int8'", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_quantisation_method_is_the_callers_the_quantisations_or_the_configurations()
    {
        var config = ModelSample.Config("LlamaForCausalLM", "\"quantization_config\": {\"quant_method\": \"awq\"}");
        var context = new ModelContext { Config = config };
        Assert.Equal("awq", context.QuantizationMethod);
        Assert.Equal("recorded", (context with { Quantization = new Recorded() }).QuantizationMethod);
        Assert.Equal("gptq_marlin", (context with { Quantization = new Recorded(), QuantizationMethod = "gptq_marlin" }).QuantizationMethod);
        Assert.Null(new ModelContext { Config = Config }.QuantizationMethod);
    }

    private sealed class Recorded : QuantizationConfig
    {
        public List<string> Calls { get; } = [];

        public override string Name => "recorded";

        public override IQuantizeMethod? MethodFor(Module layer, string prefix)
        {
            Calls.Add($"method for {prefix} with {string.Join(' ', PackedModules.Keys)}");
            return null;
        }

        public override void ApplyNameMapper(WeightNameMapper mapper) => Calls.Add($"map {mapper.Map("a.x")}");
    }
}
