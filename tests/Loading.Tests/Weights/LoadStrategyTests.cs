using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LoadStrategyTests
{
    [Fact]
    public void Parse_EveryName_IsItsStrategy()
    {
        Assert.Equal(["lazy", "eager", "prefetch", "torchao"], LoadStrategy.All.Select(strategy => strategy.Name));
        Assert.All(LoadStrategy.All, strategy => Assert.Same(strategy, LoadStrategy.Parse(strategy.ToString())));
        Assert.Same(LoadStrategy.Lazy, SafetensorsWeightsOptions.Default.Strategy);
    }

    [Theory]
    [InlineData("fast\u001b")]
    [InlineData("Lazy")]
    [InlineData("")]
    public void Parse_UnknownName_ListsAll(string name)
    {
        var exception = Assert.Throws<ArgumentException>(() => LoadStrategy.Parse(name));
        Assert.Contains("there are lazy, eager, prefetch, torchao.", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("\u001b", exception.Message, StringComparison.Ordinal);
    }
}
