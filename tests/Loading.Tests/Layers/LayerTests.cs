using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Layers with values: what a rank gets of a weight whose elements count from 0.</summary>
public sealed class LayerTests
{
    private static readonly LayerOptions One = new(DType.F32, new TensorParallel(1, 0));

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    [InlineData(8)]
    public void A_vocabulary_is_padded_and_shared(int world)
    {
        var rows = new List<float>();
        for (var rank = 0; rank < world; rank++)
        {
            using var layer = new VocabularyEmbedding(100, 2, One with { Parallel = new TensorParallel(world, rank) });
            Assert.Equal(new Shape(128 / world, 2), layer.Parameters["weight"].Shape);
            rows.AddRange(Load(layer, "weight", ShardId.None, 100, 2));
        }

        Assert.Equal(Enumerable.Range(0, 200).Select(value => (float)value).Concat(Enumerable.Repeat(0f, 56)), rows);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void A_transposed_layer_turns_its_weight_and_not_its_bias(int world)
    {
        // 3 parts of 6 outputs, 2 inputs: element [input, output] of the weight is 18 * input + output.
        for (var rank = 0; rank < world; rank++)
        {
            var layout = new LinearLayout(2, [new PackedPart("q", 6), new PackedPart("k", 6), new PackedPart("v", 6)], new TensorParallel(world, rank));
            using var layer = new TransposedLinearLayer(layout, DType.F32, hasBias: true);
            var share = 6 / world;
            var outputs = new[] { 0, 6, 12 }.SelectMany(start => Enumerable.Range(start + (rank * share), share)).ToArray();
            Assert.Equal(new Shape(3 * share, 2), layer.Parameters["weight"].Shape);
            Assert.Equal(new Shape(2, 18), layer.Parameters["weight"].WholeShape);
            Assert.Equal(outputs.SelectMany(output => new float[] { output, 18 + output }), Load(layer, "weight", ShardId.None, 2, 18));
            Assert.Equal(outputs.Select(output => (float)output), Load(layer, "bias", ShardId.None, 18));
        }
    }

    [Fact]
    public void A_transposed_layer_refuses_what_is_no_matrix_or_not_turned()
    {
        using var layer = new TransposedLinearLayer(new LinearLayout(2, [new PackedPart(null, 6)]), DType.F32);
        layer.Parameters["weight"].Name = "h.0.c_fc.weight";
        foreach (var (shape, expected) in new (long[], string)[] { ([12], "a matrix was expected, inputs before outputs"), ([6, 2], "[6, 2]") })
        {
            var exception = Assert.Throws<ModelMismatchException>(() => Load(layer, "weight", ShardId.None, shape));
            Assert.Contains("'h.0.c_fc.weight' of shape [6, 2]", exception.Message, StringComparison.Ordinal);
            Assert.Contains(expected, exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_quantised_transposed_layer_is_not_turned()
    {
        using var layer = new TransposedLinearLayer(new LinearLayout(2, [new PackedPart(null, 3)]), DType.F32, new AsStored());
        Assert.Equal([0, 1, 2, 3, 4, 5], Load(layer, "weight", ShardId.None, 2, 3));
    }

    [Fact]
    public void Made_up_weights_of_a_transposed_layer_are_the_same_on_any_number_of_ranks()
    {
        var (whole, shares) = (Values(1, 0), new[] { Values(2, 0), Values(2, 1) });
        // Row-major [outputs, inputs]: the inputs are shared.
        Assert.Equal(whole, Enumerable.Range(0, 6).SelectMany(row => shares.SelectMany(share => share[(row * 2)..((row * 2) + 2)])));

        static float[] Values(int world, int rank)
        {
            using var layer = new TransposedLinearLayer(
                new LinearLayout(4, [new PackedPart(null, 6)], new TensorParallel(world, rank), splitsInputs: true), DType.F32);
            var parameter = layer.Parameters["weight"];
            parameter.SetData(Tensor.Empty(DType.F32, parameter.Shape));
            DummyWeights.Initialize(layer);
            return [.. parameter.Data.AsReadOnlySpan<float>()];
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(4)]
    public void Experts_are_packed_gate_above_up(int world)
    {
        for (var rank = 0; rank < world; rank++)
        {
            using var layer = new ExpertsLayer(2, 3, 4, One with { Parallel = new TensorParallel(world, rank) });
            var share = 4 / world;
            Assert.Equal(["w13_weight", "w2_weight"], layer.Parameters.Keys);
            foreach (var parameter in layer.Parameters.Values)
            {
                parameter.SetData(Tensor.Empty(DType.F32, parameter.Shape));
            }

            var numbers = new Dictionary<string, int> { ["w1"] = 0, ["w3"] = 100, ["w2"] = 200 };
            foreach (var (name, first) in numbers)
            {
                for (var expert = 0; expert < 2; expert++)
                {
                    var target = Assert.Single(layer.Route(string.Create(CultureInfo.InvariantCulture, $"{expert}.{name}.weight")).Targets);
                    var values = Enumerable.Range(first + (1000 * expert), 12).Select(value => (float)value).ToArray();
                    using var weight = new Weight(name, Tensor.FromValues<float>(DType.F32, name == "w2" ? new Shape(3, 4) : new Shape(4, 3), values));
                    target.Parameter.Load(weight, target.Shard);
                }
            }

            var expected = new[] { 0, 1000 }.SelectMany(expert => new[] { 0, 100 }.SelectMany(part => Enumerable.Range(expert + part + (rank * share * 3), share * 3)));
            Assert.Equal(expected.Select(value => (float)value), layer.Parameters["w13_weight"].Data.AsReadOnlySpan<float>().ToArray());
            expected = new[] { 200, 1200 }.SelectMany(expert => Enumerable.Range(0, 3).SelectMany(row => Enumerable.Range(expert + (row * 4) + (rank * share), share)));
            Assert.Equal(expected.Select(value => (float)value), layer.Parameters["w2_weight"].Data.AsReadOnlySpan<float>().ToArray());
        }
    }

    [Fact]
    public void Quantised_experts_are_registered_by_their_method_and_found_by_its_names()
    {
        using var layer = new ExpertsLayer(2, 4, 4, One with { Quantization = new ExpertScales() }, "moe.experts");
        Assert.Equal(["w13_weight_scale", "w2_weight_scale"], layer.Parameters.Keys);
        Assert.Equal(new WeightTarget(layer.Parameters["w13_weight_scale"], new ShardId("w3", 1)), Assert.Single(layer.Route("1.w3.weight_scale").Targets));
        Assert.True(layer.Route("1.w3.weight").IsUnknown);
        Assert.Equal("FusedMoE", layer.ClassName);
    }

    [Theory]
    [InlineData("moe.experts.0.w1", true)]
    [InlineData("moe.experts.1.w2", true)]
    [InlineData("moe.experts.2.w1", false)]
    public void Quantised_experts_that_nothing_packs_are_refused(string quantised, bool isRefused)
    {
        var options = One with { Quantization = new OneProjection(quantised) };
        if (!isRefused)
        {
            using var layer = new ExpertsLayer(2, 4, 4, options, "moe.experts");
            Assert.Equal(["w13_weight", "w2_weight"], layer.Parameters.Keys);
            return;
        }

        var exception = Assert.Throws<UnsupportedCheckpointException>(() => new ExpertsLayer(2, 4, 4, options, "moe.experts"));
        Assert.Contains("the experts of 'moe.experts' are quantised with one", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Norms_and_attention_have_what_they_say()
    {
        using var norm = new NormLayer(3, DType.BF16);
        using var shifted = new NormLayer(3, DType.BF16, hasBias: true);
        using var attention = new AttentionLayer();
        Assert.Equal(["weight"], norm.Parameters.Keys);
        Assert.Equal(["weight", "bias"], shifted.Parameters.Keys);
        Assert.All(shifted.Parameters.Values, parameter => Assert.Equal((DType.BF16, new Shape(3)), (parameter.DType, parameter.Shape)));
        Assert.Empty(attention.Parameters);
        Assert.Equal(("Attention", null), (attention.ClassName, attention.QuantizeMethod));
    }

    [Fact]
    public void Heads_and_features_that_ranks_cannot_share_are_refused()
    {
        var three = One with { Parallel = new TensorParallel(3, 0) };
        Assert.Contains("8", Assert.Throws<ArgumentException>(() => new SelfAttention(32, 8, 2, 4, three)).Message, StringComparison.Ordinal);
        Assert.Contains("50", Assert.Throws<ArgumentException>(() => new GatedFeedForward(32, 50, three)).Message, StringComparison.Ordinal);
        Assert.Contains("50", Assert.Throws<ArgumentException>(() => new ExpertsLayer(4, 32, 50, three)).Message, StringComparison.Ordinal);
    }

    private static float[] Load(Module layer, string name, ShardId shard, params long[] shape)
    {
        var parameter = layer.Parameters[name];
        parameter.SetData(Tensor.Empty(DType.F32, parameter.Shape));
        var values = Enumerable.Range(0, (int)new Shape(shape).ElementCount).Select(value => (float)value).ToArray();
        using var weight = new Weight("stored", Tensor.FromValues<float>(DType.F32, new Shape(shape), values));
        parameter.Load(weight, shard);
        return [.. parameter.Data.AsReadOnlySpan<float>()];
    }

    private sealed class AsStored : QuantizationConfig, IQuantizeMethod
    {
        public override string Name => "stored";

        public override IQuantizeMethod? MethodFor(Module layer, string prefix) => this;

        public void CreateWeights(Module layer) => layer.Register("weight", new Parameter(DType.F32, new Shape(2, 3)));

        public void ProcessWeightsAfterLoading(Module layer, Device device)
        {
        }
    }

    private sealed class OneProjection(string name) : QuantizationConfig
    {
        public override string Name => "one";

        public override IQuantizeMethod? MethodFor(Module layer, string prefix) => layer is LinearLayer && prefix == name ? new OnlineFp8LinearMethod() : null;
    }

    private sealed class ExpertScales : QuantizationConfig, IQuantizeMethod
    {
        public override string Name => "scales";

        public override IQuantizeMethod? MethodFor(Module layer, string prefix) => prefix == "moe.experts" ? this : null;

        public void CreateWeights(Module layer)
        {
            var experts = (ExpertsLayer)layer;
            layer.Register("w13_weight_scale", new Parameter(DType.F32, new Shape(experts.Placement.Count, experts.GateUp.Parts.Length)));
            layer.Register("w2_weight_scale", new Parameter(DType.F32, new Shape(experts.Placement.Count)));
        }

        public void ProcessWeightsAfterLoading(Module layer, Device device)
        {
        }
    }
}
