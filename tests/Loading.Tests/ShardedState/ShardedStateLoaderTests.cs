using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What a loader of sharded states is made of.</summary>
public sealed class ShardedStateLoaderTests
{
    [Fact]
    public void The_extra_options_may_have_a_pattern()
    {
        Assert.Equal("r{rank}p{part}", ShardedStateLoader.FromExtraConfig(new Dictionary<string, object?> { ["pattern"] = "r{rank}p{part}" }).Pattern.Text);
        Assert.Equal(ShardFilePattern.DefaultText, ShardedStateLoader.FromExtraConfig(null).Pattern.Text);
        Assert.Equal(ShardFilePattern.DefaultText, ShardedStateLoader.FromExtraConfig(new Dictionary<string, object?>()).Pattern.Text);
        Assert.Equal(ShardFilePattern.DefaultText, new ShardedStateLoader().Pattern.Text);
    }

    [Fact]
    public void Unknown_extra_options_are_one_error_that_names_them_all_and_leaves_the_options_as_they_are()
    {
        var extra = new Dictionary<string, object?> { ["pattern"] = "r{rank}p{part}", ["zeta"] = 1, ["alpha"] = null, ["Pattern"] = "x" };
        var exception = Assert.Throws<ArgumentException>(() => ShardedStateLoader.FromExtraConfig(extra));
        Assert.Contains("'Pattern', 'alpha', 'zeta'", exception.Message, StringComparison.Ordinal);
        Assert.Equal(4, extra.Count);
    }

    [Fact]
    public void A_pattern_that_is_none_is_refused()
    {
        Assert.Contains("Int32", Assert.Throws<ArgumentException>(() => ShardedStateLoader.FromExtraConfig(new Dictionary<string, object?> { ["pattern"] = 1 })).Message, StringComparison.Ordinal);
        Assert.Contains("null", Assert.Throws<ArgumentException>(() => ShardedStateLoader.FromExtraConfig(new Dictionary<string, object?> { ["pattern"] = null })).Message, StringComparison.Ordinal);
        Assert.Contains("lacks {part}", Assert.Throws<ArgumentException>(() => ShardedStateLoader.FromExtraConfig(new Dictionary<string, object?> { ["pattern"] = "{rank}" })).Message, StringComparison.Ordinal);
    }
}
