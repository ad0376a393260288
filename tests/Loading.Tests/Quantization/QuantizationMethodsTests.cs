using System.Text.Json;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What a model's configuration says of its quantisation.</summary>
[Trait("Area", "Quantization")]
public sealed class QuantizationMethodsTests
{
    [Theory]
    [InlineData("""{ "quant_method": "gptq", "bits": 4, "group_size": 128 }""", "gptq")]
    [InlineData("""{ "quant_method": "GPTQ", "bits": 8, "group_size": -1, "desc_act": true }""", "gptq")]
    [InlineData("""{ "quant_method": "awq", "bits": 4, "group_size": 128 }""", "awq")]
    [InlineData("""{ "quant_method": "fp8" }""", "fp8")]
    [InlineData("""{ "quant_method": "compressed-tensors", "config_groups": {} }""", "compressed-tensors")]
    [InlineData("""{ "quant_method": "compressed_tensors", "config_groups": {} }""", "compressed-tensors")]
    public void The_method_is_read_from_the_configuration(string quantization, string name) => Assert.Equal(name, Read($$"""{ "quantization_config": {{quantization}} }""")!.Name);

    [Fact]
    public void The_method_is_found_at_each_of_its_places()
    {
        Assert.Equal("compressed-tensors", Read("""{ "compression_config": { "config_groups": {} } }""")!.Name);
        Assert.Equal("fp8", Read("""{ "text_config": { "quantization_config": { "quant_method": "fp8" } } }""")!.Name);
        Assert.Null(Read("{}"));
        Assert.Null(Read("""{ "quantization_config": null }"""));
    }

    [Fact]
    public void An_unknown_method_is_refused_with_those_that_are_known()
    {
        var asked = Assert.Throws<ArgumentException>(() => QuantizationMethods.Get("int3"));
        Assert.Contains("'int3'; known are awq, awq_marlin, bitsandbytes, compressed-tensors, fp8, gptq, gptq_marlin", asked.Message, StringComparison.Ordinal);
        var found = Assert.Throws<UnsupportedCheckpointException>(() => Read("""{ "quantization_config": { "quant_method": "hqq" } }""", file: "config.json"));
        Assert.Equal(("quantisation hqq", "config.json"), (found.Feature, found.File));
        Assert.Contains("'hqq', which is not known here; known are awq,", found.Message, StringComparison.Ordinal);
        Assert.Equal(QuantizationMethods.Names, QuantizationMethods.Names.Select(name => QuantizationMethods.Get(name).Name));
    }

    [Fact]
    public void Bitsandbytes_is_recognised_and_refused()
    {
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => Read("""{ "quantization_config": { "quant_method": "bitsandbytes", "load_in_4bit": true } }"""));
        Assert.Equal("bitsandbytes", exception.Feature);
    }

    [Fact]
    public void What_is_asked_for_must_be_what_the_model_has()
    {
        const string gptq = """{ "quantization_config": { "quant_method": "gptq", "bits": 4, "group_size": 128 } }""";
        Assert.Equal("gptq", Read(gptq, "gptq_marlin")!.Name);
        var other = Assert.Throws<ArgumentException>(() => Read(gptq, "fp8"));
        Assert.Contains("fp8 is asked for, and the model's configuration says gptq", other.Message, StringComparison.Ordinal);
        var none = Assert.Throws<ArgumentException>(() => Read("{}", "gptq"));
        Assert.Contains("has no quantization_config", none.Message, StringComparison.Ordinal);
        Assert.False(Assert.IsType<Fp8Config>(Read("{}", "fp8")).IsSerialized);
    }

    [Theory]
    [InlineData("""{ "bits": 4 }""", "quant_method is the name of a quantisation method, and is not there")]
    [InlineData("""{ "quant_method": 4 }""", "quant_method is a string, and is 4")]
    [InlineData("""{ "quant_method": "gptq", "group_size": 128 }""", "bits is the bits of a number, and is not there")]
    [InlineData("""{ "quant_method": "gptq", "bits": "4", "group_size": 128 }""", "bits is a whole number, and is \"4\"")]
    [InlineData("""{ "quant_method": "gptq", "bits": 4 }""", "group_size is the inputs of a group, or -1, and is not there")]
    [InlineData("""{ "quant_method": "gptq", "bits": 4, "group_size": 0 }""", "group_size is the inputs of a group, or -1, and is 0")]
    [InlineData("""{ "quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": 1 }""", "desc_act is true or false, and is 1")]
    [InlineData("""{ "quant_method": "gptq", "bits": 4, "group_size": 128, "dynamic": [] }""", "dynamic is an object, and is []")]
    [InlineData("""{ "quant_method": "awq", "bits": 4 }""", "group_size is the inputs of a group, and is not there")]
    [InlineData("""{ "quant_method": "fp8", "weight_block_size": [128] }""", "two sizes above 0, outputs and inputs, and not [128]")]
    [InlineData("""{ "quant_method": "fp8", "weight_block_size": 128 }""", "weight_block_size is a list of whole numbers, and is 128")]
    [InlineData("""{ "quant_method": "fp8", "activation_scheme": "both" }""", "dynamic or static, and not 'both'")]
    [InlineData("""{ "quant_method": "fp8", "activation_scheme": "static", "weight_block_size": [128, 128] }""", "scaled dynamically, and not static")]
    [InlineData("""{ "quant_method": "compressed-tensors", "config_groups": { "a": { "weights": {} } } }""", "config_groups.a.targets is a list of modules, and is not there")]
    [InlineData("""{ "quant_method": "compressed-tensors", "ignore": ["a", 1] }""", "ignore is a list of strings")]
    [InlineData(
        """{ "quant_method": "compressed-tensors", "config_groups": { "a": { "targets": ["Linear"], "weights": { "strategy": "group" } } } }""",
        "weights.group_size is the inputs of a group, and is not there")]
    public void A_field_that_is_not_what_it_must_be_is_named(string quantization, string problem)
    {
        var exception = Assert.Throws<InvalidCheckpointException>(() => Read($$"""{ "quantization_config": {{quantization}} }""", file: "m/config.json"));
        Assert.Equal((CheckpointErrorCode.HeaderFieldInvalid, "m/config.json"), (exception.Code, exception.File));
        Assert.Contains(problem, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{ "quant_method": "gptq", "bits": 3, "group_size": 128 }""", "gptq with 3 bits")]
    [InlineData("""{ "quant_method": "compressed-tensors", "sparsity_config": { "format": "sparse-24-bitmask" } }""", "sparse compressed-tensors")]
    public void What_is_not_supported_is_named(string quantization, string feature) =>
        Assert.Equal(feature, Assert.Throws<UnsupportedCheckpointException>(() => Read($$"""{ "quantization_config": {{quantization}} }""")).Feature);

    private static QuantizationConfig? Read(string config, string? asked = null, string? file = null)
    {
        using var document = JsonDocument.Parse(config);
        return QuantizationMethods.Read(document.RootElement.Clone(), asked, file);
    }

    [Theory]
    [InlineData("gptq", true)]
    [InlineData("gptq_v2", true)]
    [InlineData("marlin", false)]
    public void Words_in_an_order_that_is_not_known_are_refused(string format, bool isRead)
    {
        var config = $$$"""{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32, "checkpoint_format": "{{{format}}}"}}""";
        if (isRead)
        {
            Assert.NotNull(Read(config));
            return;
        }

        Assert.Contains("'marlin'", Assert.Throws<UnsupportedCheckpointException>(() => Read(config)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 32}}""")]
    [InlineData("""{"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32], "activation_scheme": "dynamic"}}""")]
    public void A_layer_that_computes_with_doubles_is_refused_before_anything_is_read(string config) =>
        Assert.Contains(
            "not to F64",
            Assert.Throws<UnsupportedCheckpointException>(() => new LinearLayer(new LinearLayout(64, [new PackedPart(null, 64)]), DType.F64, Read(config), "l")).Message,
            StringComparison.Ordinal);
}
