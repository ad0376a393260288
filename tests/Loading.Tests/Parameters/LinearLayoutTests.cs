using System.Collections.Immutable;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LinearLayoutTests
{
    [Theory]
    [InlineData(6, 2, 4, "6 heads (num_attention_heads) cannot be split evenly over 4 tensor-parallel ranks")]
    [InlineData(8, 3, 8, "3 key and value heads (num_key_value_heads) cannot be repeated equally often over 8 tensor-parallel ranks")]
    [InlineData(8, 6, 4, "6 key and value heads (num_key_value_heads) cannot be split evenly over 4 tensor-parallel ranks")]
    public void Heads_that_ranks_cannot_share_are_refused_with_fields_and_numbers(int heads, int keyValueHeads, int world, string message)
    {
        foreach (var rank in new[] { 0, world - 1 })
        {
            var exception = Assert.Throws<ArgumentException>(
                () => LinearLayout.ForAttention(64, heads, keyValueHeads, 8, new TensorParallel(world, rank)));
            Assert.StartsWith(message, exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Heads_of_an_odd_size_are_not_cut()
    {
        // 4 heads of 3 features on 8 ranks: 12 features of q alone could not even be split; of k and v each rank has one head of three.
        var layout = LinearLayout.ForAttention(5, 8, 4, 3, new TensorParallel(8, 5));
        Assert.Equal((3L, 3L, 3L), (layout.SizePerRank(layout.Parts[0]), layout.SizePerRank(layout.Parts[1]), layout.SizePerRank(layout.Parts[2])));
        Assert.Equal((15, 6, 6), (layout.StartOnRank(layout.Parts[0]), layout.StartOnRank(layout.Parts[1]), layout.StartOnRank(layout.Parts[2])));
        Assert.Equal((9, 5), (layout.OutputSizePerRank, layout.InputSizePerRank));
    }

    [Fact]
    public void Intermediate_features_that_ranks_cannot_share_are_refused_with_the_field()
    {
        var parallel = new TensorParallel(4, 0);
        foreach (var make in new Func<LinearLayout>[] { () => LinearLayout.ForGateUp(8, 10, parallel), () => LinearLayout.ForDown(8, 10, parallel) })
        {
            Assert.StartsWith(
                "10 features (intermediate_size) cannot be split evenly over 4 tensor-parallel ranks.", Assert.Throws<ArgumentException>(make).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Features_that_ranks_cannot_share_are_refused_with_the_numbers()
    {
        var parallel = new TensorParallel(4, 0);
        Assert.StartsWith(
            "10 output features of a cannot be split evenly over 4 ranks.",
            Assert.Throws<ArgumentException>(() => new LinearLayout(8, [new PackedPart("a", 10)], parallel)).Message,
            StringComparison.Ordinal);
        Assert.StartsWith(
            "3 output features cannot be split evenly over 4 ranks of which 2 each have the same.",
            Assert.Throws<ArgumentException>(() => new LinearLayout(8, [new PackedPart(null, 3, 2)], parallel)).Message,
            StringComparison.Ordinal);
        Assert.StartsWith(
            "12 output features cannot be split evenly over 4 ranks of which 3 each have the same.",
            Assert.Throws<ArgumentException>(() => new LinearLayout(8, [new PackedPart(null, 12, 3)], parallel)).Message,
            StringComparison.Ordinal);
        Assert.StartsWith(
            "10 input features cannot be split evenly over 4 ranks.",
            Assert.Throws<ArgumentException>(() => new LinearLayout(10, [new PackedPart(null, 7)], parallel, splitsInputs: true)).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_must_be_told_apart()
    {
        ImmutableArray<ImmutableArray<PackedPart>> wrong =
        [
            default, [], [null!], [new("a", -1)], [new("a", 1, 0)], [new("a", 1), new("a", 1)], [new("a", 1), new(null, 1)],
        ];
        foreach (var parts in wrong)
        {
            Assert.Equal("parts", Assert.Throws<ArgumentException>(() => new LinearLayout(1, parts)).ParamName);
        }
    }
}
