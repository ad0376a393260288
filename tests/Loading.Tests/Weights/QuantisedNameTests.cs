using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class QuantisedNameTests
{
    [Theory]
    [InlineData("model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.qweight", "model.layers.0.self_attn.q_proj.qweight_type")]
    [InlineData("weight_net.weights.0.weight", "weight_net.weights.0.qweight", "weight_net.weights.0.qweight_type")]
    [InlineData("attn.in_proj_weight", "attn.in_proj_qweight", "attn.in_proj_qweight_type")]
    [InlineData("weight", "qweight", "qweight_type")]
    public void Only_the_last_part_is_renamed(string name, string blocks, string type)
    {
        Assert.True(QuantisedName.Exists(name));
        Assert.Equal((blocks, type), (QuantisedName.OfWeight(name), QuantisedName.OfType(name)));
    }

    [Theory]
    [InlineData("q_proj.bias")]
    [InlineData("weight.bias")]
    [InlineData("weight.")]
    [InlineData("q_proj.Weight")]
    [InlineData("")]
    public void A_last_part_without_the_word_has_no_name_for_blocks(string name) => Assert.False(QuantisedName.Exists(name));
}
