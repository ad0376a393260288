using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HubFileChoiceTests
{
    [Fact]
    public void Filter_PatternOfAFolder_MeansAllBelow() =>
        Assert.Equal(["sub/a", "sub/x/b"], HubFileChoice.Filter(["a", "sub/a", "sub/x/b", "sub/x/c"], ["sub/"], ["*/c"]));

    [Fact]
    public void Filter_NoPatterns_AllowsAll() => Assert.Equal(["a", "b/c"], HubFileChoice.Filter(["a", "b/c"], allow: null, ignore: null));
}
