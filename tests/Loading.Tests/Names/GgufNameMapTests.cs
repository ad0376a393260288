using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class GgufNameMapTests
{
    [Fact]
    public void A_map_of_names_maps_and_reports_what_it_lacks()
    {
        var map = new GgufNameMap([new("a", "x"), new("b", "y", WeightTransform.Transpose), new("dropped"), new("absent", "z")]);
        var mapping = map.Resolve([Pair("b", 2, 3), Pair("other", 1), Pair("a", 4), Pair("dropped", 1)], ["x", "y", "z", "w"]);
        Assert.Equal(
            [
                new MappedTensor("y", new Shape(3, 2), "b", new Shape(2, 3), WeightTransform.Transpose),
                new MappedTensor("x", new Shape(4), "a", new Shape(4), WeightTransform.None),
            ],
            mapping.Tensors.ToArray());
        Assert.Equal(["other"], mapping.Unmapped.ToArray());
        Assert.Equal(["dropped"], mapping.LeftOut.ToArray());
        Assert.Equal(["w", "z"], mapping.Missing.ToArray());
        Assert.Empty(mapping.Ties);
        Assert.Empty(mapping.NotStored);
        Assert.False(mapping.TryGet("z", out _));
    }

    [Fact]
    public void Without_expected_names_none_is_missing_or_unexpected()
    {
        var mapping = new GgufNameMap([new("a", "x")]).Resolve([Pair("a", 4)]);
        Assert.Empty(mapping.Missing);
        Assert.Empty(mapping.Unexpected);
        Assert.Single(mapping.Tensors);
    }

    [Fact]
    public void One_tensor_may_hold_rows_of_several()
    {
        var map = new GgufNameMap(
        [
            new(
                "blk.{block}.attn_qkv.weight",
                new NameMapTarget("l.{block}.q.weight", WeightTransform.Rows(0, 4)),
                new NameMapTarget("l.{block}.k.weight", WeightTransform.Rows(4, 2)),
                new NameMapTarget("l.{block}.v.weight", WeightTransform.Rows(6, 2))),
        ]);
        var mapping = map.Resolve([Pair("blk.11.attn_qkv.weight", 8, 3)]);
        Assert.Equal(
            [("l.11.q.weight", new Shape(4, 3)), ("l.11.k.weight", new Shape(2, 3)), ("l.11.v.weight", new Shape(2, 3))],
            mapping.OfGguf("blk.11.attn_qkv.weight").Select(tensor => (tensor.Name, tensor.Shape)));
        Assert.True(map.TryGetSource("l.5.k.weight", out var source));
        Assert.Equal(new NameMapSource("blk.5.attn_qkv.weight", WeightTransform.Rows(4, 2)), source);
    }

    [Fact]
    public void One_tensor_may_hold_the_experts_of_a_block()
    {
        var map = new GgufNameMap([NameMapEntry.SplitExperts("blk.{block}.up_exps", "l.{block}.experts.{expert}.up", 3)]);
        Assert.True(map.TryGetTargets("blk.2.up_exps", out var targets));
        Assert.Equal(Enumerable.Range(0, 3).Select(i => new NameMapTarget($"l.2.experts.{i}.up", WeightTransform.Expert(i, 3))), targets);
        Assert.True(map.TryGetSource("l.2.experts.1.up", out var source));
        Assert.Equal(new NameMapSource("blk.2.up_exps", WeightTransform.Expert(1, 3)), source);
        Assert.False(map.TryGetSource("l.2.experts.3.up", out _));
    }

    [Fact]
    public void An_exact_name_goes_before_a_placeholder_and_numbers_may_stand_beside_it()
    {
        var map = new GgufNameMap(
        [
            new("blk.{block}.conv.0.weight", "layers.{block}.stem.7.weight"),
            new("blk.{block}.conv.{expert}.weight", "layers.{block}.other.{expert}.weight"),
            new("blk.3.conv.0.weight", "special"),
        ]);
        Assert.Equal("special", TargetOf(map, "blk.3.conv.0.weight"));
        Assert.Equal("layers.4.stem.7.weight", TargetOf(map, "blk.4.conv.0.weight"));
        Assert.Equal("layers.4.other.1.weight", TargetOf(map, "blk.4.conv.1.weight"));
        Assert.True(map.TryGetSource("layers.9.stem.7.weight", out var source));
        Assert.Equal("blk.9.conv.0.weight", source.GgufName);
        Assert.True(map.TryGetSource("layers.9.other.12.weight", out source));
        Assert.Equal("blk.9.conv.12.weight", source.GgufName);
    }

    [Fact]
    public void Names_that_occur_twice_are_named()
    {
        Assert.Contains("'a' twice", Refusal(new("a", "x"), new("a", "y")), StringComparison.Ordinal);
        var two = Refusal(new("a", "x"), new("b", "x"));
        Assert.Contains("'x' of two GGUF tensors, 'a' and 'b'", two, StringComparison.Ordinal);
        var same = Refusal(new NameMapEntry("a", new NameMapTarget("x", WeightTransform.Rows(0, 1)), new NameMapTarget("x", WeightTransform.Rows(1, 1))));
        Assert.Contains("'x' twice of 'a'", same, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("blk.{block}.a", "x")]
    [InlineData("a", "l.{block}.x")]
    [InlineData("blk.{block}.{expert}.a", "l.{block}.x")]
    [InlineData("blk.{expert}.a", "l.{expert}.x")]
    [InlineData("blk.{block}.{block}.a", "l.{block}.x")]
    public void Placeholders_must_be_the_same_on_both_sides(string gguf, string name)
    {
        var message = Refusal(new NameMapEntry(gguf, name));
        Assert.Contains("{", message, StringComparison.Ordinal);
        Assert.Contains(gguf, message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_placeholder_and_a_name_that_meet_in_a_file_are_refused()
    {
        var map = new GgufNameMap([new("blk.{block}.a", "l.{block}.x"), new("b", "l.0.x")]);
        var exception = Assert.Throws<InvalidCheckpointException>(() => map.Resolve([Pair("blk.0.a", 1), Pair("b", 1)]));
        Assert.Equal((CheckpointErrorCode.NameMapInvalid, "b"), (exception.Code, exception.Tensor));
    }

    [Fact]
    public void Experts_need_a_place_for_their_number_and_a_number()
    {
        Assert.Throws<ArgumentException>(() => NameMapEntry.SplitExperts("a", "x", 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => NameMapEntry.SplitExperts("a", "x.{expert}", 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => NameMapEntry.SplitExperts("a", "x.{expert}", 4097));
    }

    private static KeyValuePair<string, Shape> Pair(string name, params long[] shape) => new(name, new Shape(shape));

    private static string TargetOf(GgufNameMap map, string name)
    {
        Assert.True(map.TryGetTargets(name, out var targets));
        return Assert.Single(targets).Name;
    }

    private static string Refusal(params NameMapEntry[] entries) => Assert.Throws<ArgumentException>(() => new GgufNameMap(entries)).Message;
}
