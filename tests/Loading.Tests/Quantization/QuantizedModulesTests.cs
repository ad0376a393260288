using System.Collections.Immutable;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Which modules a configuration quantises, and how.</summary>
[Trait("Area", "Quantization")]
public sealed class QuantizedModulesTests
{
    private const string Attention = "model.layers.1.self_attn";

    [Theory]
    [InlineData("lm_head", "lm_head", true)]
    [InlineData("model.lm_head", "lm_head", true)]
    [InlineData("lm_head", "lm_head2", false)]
    [InlineData("lm_head", "my_lm_head", false)]
    [InlineData("model.layers.1.mlp.gate", "mlp.gate", true)]
    [InlineData("model.layers.1.mlp.gate_proj", "mlp.gate", false)]
    [InlineData("model.layers.1.mlp.down_proj", "model.layers.1", true)]
    [InlineData("model.layers.11.mlp.down_proj", "model.layers.1", false)]
    [InlineData("visual.blocks.0.fc1", "visual", true)]
    public void Fp8_leaves_out_a_module_by_its_name_and_all_below_a_name(string prefix, string ignored, bool isLeftOut)
    {
        foreach (var field in (string[])["ignored_layers", "modules_to_not_convert"])
        {
            var config = QuantizedLayers.Config($$"""{ "quant_method": "fp8", "{{field}}": ["{{ignored}}"] }""");
            Assert.Equal(isLeftOut, Method(config, prefix) is null);
        }
    }

    [Theory]
    [InlineData("re:.*vision.*", "model.vision.fc", true)]
    [InlineData("re:.*vision.*", "model.text.fc", false)]
    [InlineData("re:vision", "vision.fc", true)]
    // As re.match, from the beginning on.
    [InlineData("re:vision", "model.vision.fc", false)]
    [InlineData("re:(?!model).*", "lm_head", true)]
    [InlineData("re:(?!model).*", "model.fc", false)]
    [InlineData("re:a|lm_head", "lm_head", true)]
    [InlineData("lm_head", "lm_head", true)]
    // By name, and nothing below or above it.
    [InlineData("lm_head", "model.lm_head", false)]
    [InlineData("model.layers.1", "model.layers.1.fc", false)]
    public void Compressed_tensors_leaves_out_what_is_named_or_matched(string ignored, string prefix, bool isLeftOut) =>
        Assert.Equal(isLeftOut, Method(Compressed(ignored: [ignored]), prefix) is null);

    [Theory]
    [InlineData("re:(")]
    [InlineData("re:(?=(a+)+b)(a+)+c$")]
    public void A_pattern_that_cannot_be_used_is_named(string pattern)
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => Method(Compressed(ignored: [pattern]), new string('a', 60)));
        Assert.Contains(Quoted.Name(pattern[3..]), exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_packed_module_is_left_out_where_all_its_parts_are()
    {
        string[] parts = [$"{Attention}.q_proj", $"{Attention}.k_proj", $"{Attention}.v_proj"];
        Assert.Null(Method(Compressed(ignored: parts), $"{Attention}.qkv_proj"));
        Assert.Null(Method(Fp8(parts), $"{Attention}.qkv_proj"));
        Assert.NotNull(Method(Fp8([]), $"{Attention}.qkv_proj"));
        // The packed name itself is not one of the checkpoint's.
        Assert.NotNull(Method(Compressed(ignored: [$"{Attention}.qkv_proj"]), $"{Attention}.qkv_proj"));
    }

    [Fact]
    public void Parts_of_a_packed_module_that_differ_are_refused()
    {
        string[] some = [$"{Attention}.q_proj", $"{Attention}.v_proj"];
        foreach (var config in (QuantizationConfig[])[Compressed(ignored: some), Fp8(some)])
        {
            var exception = Assert.Throws<ModelMismatchException>(() => Method(config, $"{Attention}.qkv_proj"));
            Assert.Contains(
                $"{Attention}.q_proj: not quantised, {Attention}.k_proj: quantised, {Attention}.v_proj: not quantised", exception.Message, StringComparison.Ordinal);
        }

        var schemes = QuantizedLayers.Config(
            """
            { "quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {
              "a": { "targets": ["re:.*q_proj"], "weights": { "num_bits": 8, "strategy": "tensor" } },
              "b": { "targets": ["Linear"], "weights": { "num_bits": 8, "strategy": "channel" } } } }
            """);
        Assert.Contains("int of 8 bits by tensor", Assert.Throws<ModelMismatchException>(() => Method(schemes, $"{Attention}.qkv_proj")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_packed_modules_are_the_models_own_table()
    {
        var table = new Dictionary<string, ImmutableArray<string>>(StringComparer.Ordinal);
        var config = Fp8([$"{Attention}.x", $"{Attention}.y"]);
        config.PackedModules = table;
        Assert.NotNull(Method(config, $"{Attention}.xy"));
        table.Add("xy", ["x", "y"]);
        Assert.Null(Method(config, $"{Attention}.xy"));
    }

    [Fact]
    public void Names_are_mapped_to_the_models()
    {
        foreach (var config in (QuantizationConfig[])[Fp8(["vit.fc"]), Compressed(ignored: ["vit.fc", "re:vit\\.x"])])
        {
            Assert.NotNull(Method(config, "vision.fc"));
            config.MapNames(name => name.Replace("vit.", "vision.", StringComparison.Ordinal));
            Assert.Null(Method(config, "vision.fc"));
            Assert.NotNull(Method(config, "vision.x"));
        }

        var gptq = Gptq("""{ "modules_in_block_to_quantize": ["vit.fc"] }""");
        Assert.Null(Method(gptq, "vision.fc"));
        gptq.MapNames(name => name.Replace("vit.", "vision.", StringComparison.Ordinal));
        Assert.NotNull(Method(gptq, "vision.fc"));
    }

    [Fact]
    public void Targets_are_names_patterns_or_classes_names_first()
    {
        var config = QuantizedLayers.Config(
            """
            { "quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {
              "a": { "targets": ["Linear"], "weights": { "num_bits": 8, "strategy": "channel" } },
              "b": { "targets": ["model.fc", "re:.*down"], "weights": null } } }
            """);
        Assert.Null(Method(config, "model.fc"));
        Assert.Null(Method(config, "model.down_proj"));
        Assert.NotNull(Method(config, "model.up_proj"));
        // Embeddings and norms are no linear layers.
        Assert.Null(config.MethodFor(new Module(), "model.norm"));
        var byClass = QuantizedLayers.Config(
            """{ "quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": { "a": { "targets": ["Conv2d"], "weights": { "num_bits": 8 } } } }""");
        Assert.Null(Method(byClass, "model.fc"));
    }

    [Theory]
    [InlineData("pack-quantized", "int", 4, "group")]
    [InlineData("int-quantized", "float", 8, "channel")]
    [InlineData("int-quantized", "int", 8, "token")]
    [InlineData("nvfp4-pack-quantized", "float", 4, "tensor_group")]
    public void A_scheme_that_is_not_dequantised_is_refused_with_its_layer(string format, string type, int bits, string strategy)
    {
        var config = QuantizedLayers.Config(
            $$"""
            { "quant_method": "compressed-tensors", "format": "{{format}}", "config_groups": { "a": { "targets": ["Linear"], "weights": {
              "num_bits": {{bits}}, "type": "{{type}}", "strategy": "{{strategy}}", "group_size": 32 } } } }
            """);
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => Method(config, "model.fc"));
        Assert.Contains($"layer 'model.fc' is stored by compressed-tensors as {format}: {type} of {bits} bits by {strategy}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_layer_of_awq_is_refused_and_one_that_it_leaves_out_is_not()
    {
        var config = QuantizedLayers.Config("""{ "quant_method": "awq", "bits": 4, "group_size": 128, "modules_to_not_convert": ["visual"] }""");
        Assert.Null(Method(config, "visual.fc"));
        Assert.Null(config.MethodFor(new Module(), "model.norm"));
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => Method(config, "model.fc"));
        Assert.Equal("awq", exception.Feature);
        Assert.Contains("layer 'model.fc' is quantised with AWQ (4 bits, groups of 128)", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Gptq_leaves_out_the_output_and_what_its_lists_and_rules_do()
    {
        Assert.Null(Method(Gptq("{}"), "lm_head"));
        Assert.NotNull(Method(Gptq("""{ "lm_head": true }"""), "lm_head"));
        var listed = Gptq("""{ "modules_in_block_to_quantize": [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"], ["mlp.up_proj"]] }""");
        Assert.NotNull(Method(listed, $"{Attention}.qkv_proj"));
        Assert.NotNull(Method(listed, "model.layers.0.mlp.up_proj"));
        Assert.Null(Method(listed, "model.layers.0.mlp.down_proj"));
        var ruled = Gptq("""{ "dynamic": { "-:.*\\.up_proj": {}, "+:.*\\.down_proj": { "bits": 8, "group_size": 64, "desc_act": true } } }""");
        Assert.Null(Method(ruled, "model.layers.0.mlp.up_proj"));
        using var layer = new LinearLayer(new LinearLayout(128, [new PackedPart(null, 16)]), DType.BF16, ruled, "model.layers.0.mlp.down_proj");
        Assert.Equal(new Shape(32, 16), layer.Parameters["qweight"].Shape);
        Assert.Equal(new Shape(2, 16), layer.Parameters["scales"].Shape);
        Assert.True(layer.Parameters["g_idx"].IsRequired);
        using var plain = new LinearLayer(new LinearLayout(128, [new PackedPart(null, 16)]), DType.BF16, ruled, "model.layers.0.mlp.gate");
        Assert.Equal(new Shape(16, 16), plain.Parameters["qweight"].Shape);
        Assert.False(plain.Parameters["g_idx"].IsRequired);
    }

    private static Fp8Config Fp8(string[] ignored) =>
        new(true, ignoredLayers: [.. ignored]) { PackedModules = QuantizedLayers.Config("""{ "quant_method": "fp8" }""").PackedModules };

    private static QuantizationConfig Gptq(string more) => QuantizedLayers.Config($$"""{ "quant_method": "gptq", "bits": 4, "group_size": 128 {{(more.Length > 2 ? "," : "")}} {{more[1..^1]}} }""");

    private static QuantizationConfig Compressed(string[] ignored) => QuantizedLayers.Config(
        $$"""
        { "quant_method": "compressed-tensors", "format": "int-quantized", "ignore": [{{string.Join(", ", ignored.Select(entry => $"\"{entry.Replace("\\", "\\\\", StringComparison.Ordinal)}\""))}}],
          "config_groups": { "a": { "targets": ["Linear"], "weights": { "num_bits": 8, "strategy": "channel" } } } }
        """);

    private static IQuantizeMethod? Method(QuantizationConfig config, string prefix)
    {
        using var layer = new LinearLayer(new LinearLayout(128, [new PackedPart(null, 16)]), DType.BF16);
        return config.MethodFor(layer, prefix);
    }
}
