using System.Collections.Immutable;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class ParamMappingTests
{
    [Fact]
    public void Parts_know_their_packed_module_and_their_number()
    {
        var mapping = Make(("qkv_proj", ["q_proj", "k_proj", "v_proj"]), ("gate_up_proj", ["gate_proj", "up_proj"]));
        Assert.Equal(["qkv_proj", "gate_up_proj"], mapping.Packed.Keys);
        Assert.Equal(
            [("q_proj", "qkv_proj", 0), ("k_proj", "qkv_proj", 1), ("v_proj", "qkv_proj", 2), ("gate_proj", "gate_up_proj", 0), ("up_proj", "gate_up_proj", 1)],
            mapping.Inverse.Select(entry => (entry.Key, entry.Value.Packed, entry.Value.Index)));
    }

    [Fact]
    public void A_module_that_packs_only_itself_is_found_but_not_in_the_inverse()
    {
        var mapping = Make(("W_pack", ["W_pack"]), ("other", ["only"]), ("twice", ["twice", "twice"]));
        Assert.Equal(
            [("only", "other", 0), ("twice", "twice", 1)], mapping.Inverse.Select(entry => (entry.Key, entry.Value.Packed, entry.Value.Index)));
        var (packed, parts) = mapping.GetSubModules("model.layers.0.self_attn.W_pack")!.Value;
        Assert.Equal("W_pack", packed);
        Assert.Equal(["W_pack"], parts.AsEnumerable());
    }

    // A dictionary keeps the place of what is written again, and its last value.
    [Fact]
    public void Of_a_part_of_two_modules_the_later_counts()
    {
        var mapping = Make(("first", ["a", "b"]), ("second", ["c", "a"]));
        Assert.Equal(
            [("a", "second", 1), ("b", "first", 1), ("c", "second", 0)], mapping.Inverse.Select(entry => (entry.Key, entry.Value.Packed, entry.Value.Index)));
    }

    [Theory]
    [InlineData("model.layers.0.mlp.gate_up_proj", "up_proj")]
    [InlineData("model.layers.0.mlp.up_proj", "up_proj")]
    [InlineData("model.layers.0.self_attn.qkv_proj", "qkv_proj")]
    [InlineData("qkv_proj", "qkv_proj")]
    [InlineData("model.layers.0.self_attn.QKV_PROJ", null)]
    [InlineData("model.layers.0.qkv_proj.weight", null)]
    [InlineData("", null)]
    public void The_first_packed_module_that_a_name_ends_with_is_found(string name, string? expected)
    {
        var mapping = Make(("up_proj", ["x"]), ("gate_up_proj", ["gate_proj", "y"]), ("qkv_proj", ["q", "k", "v"]));
        Assert.Equal(expected, mapping.GetSubModules(name)?.Packed);
    }

    [Fact]
    public void A_packed_module_is_there_once()
    {
        Assert.Contains("'a' is there twice", Assert.Throws<ArgumentException>(() => Make(("a", ["x"]), ("a", ["y"]))).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentException>(() => Make(("a", default)));
        Assert.Empty(Make().Inverse);
        Assert.Null(Make().GetSubModules("a"));
        Assert.Equal("", Make(("", [])).GetSubModules("a")?.Packed);
    }

    private static ParamMapping Make(params (string Packed, ImmutableArray<string> Parts)[] entries) =>
        new(entries.Select(entry => KeyValuePair.Create(entry.Packed, entry.Parts)));
}
