using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A quantised checkpoint in the generic layout: its stored numbers are the parameters, whatever the method, and a warning says so.</summary>
public sealed class GenericQuantizedTests
{
    private static readonly byte[] Packed = [.. Enumerable.Range(0, 64).Select(i => (byte)(i * 37))];

    [Theory]
    [InlineData("\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 8}", "gptq")]
    [InlineData("\"quantization_config\": {\"quant_method\": \"bitsandbytes\"}", "bitsandbytes")]
    [InlineData("\"quantization_config\": {\"quant_method\": \"hqq\"}", "hqq")]
    [InlineData("\"text_config\": {\"quantization_config\": {\"quant_method\": \"awq\"}}", "awq")]
    [InlineData("\"compression_config\": {}", "compressed-tensors")]
    public async Task Load_QuantisedWeights_AreAsTheyAreStoredWithOneWarning(string field, string method)
    {
        await using var sample = await WeightsSample.OpenAsync(new SafetensorsBuilder().Add("model.layers.0.mlp.up_proj.qweight", "I32", [4, 4], Packed));
        var warnings = new RecordedWarnings();
        var context = Context(field, sample.Checkpoint, ModelImplementation.Generic) with { Warnings = warnings.ToLog() };
        context = context.WithQuantization();
        Assert.Null(context.Quantization);
        for (var i = 0; i < 2; i++)
        {
            using var model = ModelInitializer.Initialize(context);
            await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, sample.Checkpoint));
            var parameter = Assert.Single(model.NamedParameters()).Parameter;
            Assert.Equal(DType.I32, parameter.DType);
            Assert.Equal(Packed, parameter.Data.AsSpan<byte>().ToArray());
        }

        Assert.Equal(
            [$"config.json says that the model is quantised with {method}; the generic layout loads its stored numbers and does not dequantise them."], warnings.Texts);
    }

    [Fact]
    public async Task Load_WeightsThatAreNotQuantised_WarnsOfNothing()
    {
        await using var sample = await WeightsSample.OpenAsync(("a", [4]));
        var warnings = new RecordedWarnings();
        ModelInitializer.Initialize(Context("\"x\": 1", sample.Checkpoint, ModelImplementation.Generic) with { Warnings = warnings.ToLog() }).Dispose();
        Assert.Empty(warnings.Texts);
    }

    [Theory]
    [InlineData("bitsandbytes", "quantised with bitsandbytes")]
    [InlineData("hqq", "'hqq', which is not known here")]
    public async Task WithQuantization_OfANativeLayout_RefusesWhatItCannotTake(string method, string expected)
    {
        await using var sample = await WeightsSample.OpenAsync(("a", [4]));
        var context = Context($"\"quantization_config\": {{\"quant_method\": \"{method}\"}}", sample.Checkpoint, ModelImplementation.Auto);
        Assert.Contains(expected, Assert.Throws<UnsupportedCheckpointException>(() => context.WithQuantization()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task WithQuantization_OfANativeLayout_IsWhatTheConfigurationSaysOrIsAskedFor()
    {
        await using var sample = await WeightsSample.OpenAsync(("a", [4]));
        var quantised = Context("\"quantization_config\": {\"quant_method\": \"gptq\", \"bits\": 4, \"group_size\": 8}", sample.Checkpoint, ModelImplementation.Native);
        Assert.IsType<GptqConfig>(quantised.WithQuantization().Quantization);
        var plain = Context("\"x\": 1", sample.Checkpoint, ModelImplementation.Auto);
        Assert.Null(plain.WithQuantization().Quantization);
        Assert.IsType<Fp8Config>(plain.WithQuantization("fp8").Quantization);
        Assert.Throws<ArgumentException>(() => plain.WithQuantization("gptq"));
    }

    private static ModelContext Context(string field, Checkpoint checkpoint, ModelImplementation implementation) =>
        ModelSample.Context(ModelSample.Config("LlamaForCausalLM", $"{ModelSample.Sizes}, {field}")) with { Checkpoint = checkpoint, Implementation = implementation };
}
