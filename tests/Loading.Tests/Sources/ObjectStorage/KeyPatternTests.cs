using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Patterns of keys; what fits was asked of Python's own <c>fnmatch.fnmatchcase</c>.</summary>
public sealed class KeyPatternTests
{
    [Theory]
    [InlineData("*", "a/b", true)]
    [InlineData("*", "", true)]
    [InlineData("", "", true)]
    [InlineData("", "a", false)]
    [InlineData("*.safetensors", "m/a.safetensors", true)]
    [InlineData("*.safetensors", "m/a.safetensors.txt", false)]
    [InlineData("*.safetensors", "m/a.SAFETENSORS", false)]
    [InlineData("model-?.bin", "model-1.bin", true)]
    [InlineData("model-?.bin", "model-12.bin", false)]
    [InlineData("a?b", "a\U0001F600b", true)]
    [InlineData("a??b", "a\U0001F600b", false)]
    [InlineData("a.c", "abc", false)]
    [InlineData("a*b", "a\nb", true)]
    [InlineData("a", "a\n", false)]
    [InlineData("[ab]c", "bc", true)]
    [InlineData("[!ab]c", "bc", false)]
    [InlineData("[!ab]c", "cc", true)]
    [InlineData("[a-c]x", "bx", true)]
    [InlineData("[c-a]x", "bx", false)]
    [InlineData("[!c-a]x", "bx", true)]
    [InlineData("[]x]y", "]y", true)]
    [InlineData("[!]x]y", "ay", true)]
    [InlineData("[!]x]y", "]y", false)]
    [InlineData("[!]", "[!]", true)]
    [InlineData("[[]", "[", true)]
    [InlineData("a[b", "a[b", true)]
    [InlineData("a[b", "ab", false)]
    [InlineData("[a-]", "-", true)]
    [InlineData("[-a]", "-", true)]
    [InlineData("[a-c-e]", "d", false)]
    [InlineData("[a-c-e]", "-", true)]
    [InlineData("[a-c-e]", "e", true)]
    [InlineData("[^a]", "^", true)]
    [InlineData("[^a]", "b", false)]
    [InlineData("a\\*", "a\\b", true)]
    [InlineData("a+(b)|c$", "a+(b)|c$", true)]
    [InlineData("*/", "p/", true)]
    [InlineData("*model-rank-0-part-*.safetensors", "p/model-rank-0-part-0.safetensors", true)]
    [InlineData("*model-rank-0-part-*.safetensors", "p/model-rank-10-part-0.safetensors", false)]
    public void Matches_AsPythonsFnmatch(string pattern, string key, bool fits) => Assert.Equal(fits, new KeyPattern(pattern).Matches(key));
}
