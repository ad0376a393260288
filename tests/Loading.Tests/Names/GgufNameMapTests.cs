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
    public void Rows_may_overlap_and_a_tensor_may_have_two_names()
    {
        var map = new GgufNameMap(
        [
            new("a", new NameMapTarget("x", WeightTransform.Rows(0, 3)), new NameMapTarget("y", WeightTransform.Rows(2, 2))),
            new("embedding", new NameMapTarget("embed.weight", WeightTransform.None), new NameMapTarget("head.weight", WeightTransform.None)),
        ]);
        var mapping = map.Resolve([Pair("a", 4, 2), Pair("embedding", 5, 2)]);
        Assert.Equal(
            [("x", new Shape(3, 2)), ("y", new Shape(2, 2)), ("embed.weight", new Shape(5, 2)), ("head.weight", new Shape(5, 2))],
            mapping.Tensors.Select(tensor => (tensor.Name, tensor.Shape)));
    }

    [Fact]
    public void The_way_back_is_one_that_leads_here()
    {
        var map = new GgufNameMap(
        [
            new("blk.{block}.a", "l.{block}.x"),
            new("blk.3.a", "special"),
            new("blk.4.a"),
            new("blk.{block}.conv.0.weight", "layers.{block}.stem.7.weight"),
            new("blk.{block}.conv.{expert}.weight", "layers.{block}.other.{expert}.weight"),
        ]);
        Assert.True(map.TryGetSource("l.2.x", out var source));
        Assert.Equal("blk.2.a", source.GgufName);
        Assert.True(map.TryGetSource("special", out source));
        Assert.Equal("blk.3.a", source.GgufName);
        // blk.3.a is another tensor, blk.4.a none, and blk.4.conv.0.weight the stem.
        Assert.False(map.TryGetSource("l.3.x", out _));
        Assert.False(map.TryGetSource("l.4.x", out _));
        Assert.False(map.TryGetSource("layers.4.other.0.weight", out _));
        Assert.True(map.TryGetSource("layers.4.other.1.weight", out _));
    }

    [Fact]
    public void The_way_back_takes_the_next_entry_where_the_first_does_not_lead_here()
    {
        // The name fits both templates of the checkpoint's side; blk.1.a is an exact entry's.
        var map = new GgufNameMap([new("blk.{block}.a", "l.{block}.2"), new("blk.1.a", "special"), new("b.{block}", "l.1.{block}")]);
        Assert.True(map.TryGetTargets("b.2", out var targets));
        Assert.Equal("l.1.2", Assert.Single(targets).Name);
        Assert.True(map.TryGetSource("l.1.2", out var source));
        Assert.Equal("b.2", source.GgufName);
    }

    [Fact]
    public void Parts_of_a_callers_own_map_are_limited_too()
    {
        NameMapEntry[] entries = [new("blk.{block}.a", new NameMapTarget("l.{block}.x", WeightTransform.Rows(0, 1)), new NameMapTarget("l.{block}.y", WeightTransform.Rows(1, 1)))];
        KeyValuePair<string, Shape>[] tensors = [Pair("blk.0.a", 2), Pair("blk.1.a", 2)];
        var exception = Assert.Throws<CheckpointLimitException>(
            () => new GgufNameMap(entries, new GgufNameMapOptions { MaximumParts = 3 }).Resolve(tensors));
        Assert.Equal((4, 3), (exception.Actual, exception.Maximum));
        Assert.Equal(4, new GgufNameMap(entries, new GgufNameMapOptions { MaximumParts = 4 }).Resolve(tensors).Tensors.Length);
    }

    [Fact]
    public void Resolving_is_cancelled_between_two_tensors()
    {
        using var cancellation = new CancellationTokenSource();
        var taken = 0;
        IEnumerable<KeyValuePair<string, Shape>> Tensors()
        {
            for (taken = 1; taken <= 9; taken++)
            {
                if (taken == 3)
                {
                    cancellation.Cancel();
                }

                yield return Pair($"t{taken}", 1);
            }
        }

        Assert.Throws<OperationCanceledException>(() => new GgufNameMap([]).Resolve(Tensors(), cancellationToken: cancellation.Token));
        Assert.Equal(3, taken);
    }

    [Fact]
    public void Empty_names_are_refused()
    {
        Assert.Contains("empty", Refusal(new NameMapEntry("", "x")), StringComparison.Ordinal);
        Assert.Contains("'a'", Refusal(new NameMapEntry("a", "")), StringComparison.Ordinal);
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
