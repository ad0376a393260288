using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HubFilePatternTests
{
    private static readonly string[] Patterns =
        ["*", "", "?", "*.safetensors", "a?c", "[abc]x", "[!abc]x", "[a-c]x", "[a-]x", "[]]x", "[!]]x", "[x", "x[", "a*b*c", "**/x", "original/**/*", "[", "[]", "[!]", "a\\b", "*/", "é*"];

    private static readonly string[] Paths =
        ["", "a", "model.safetensors", "sub/model.safetensors", "abc", "a/c", "ax", "bx", "dx", "-x", "]x", "[x", "x[", "aXbXc", "original/a", "original/a/b", "original/a/b/c", "[", "[]", "[!]", "a\\b", "a/", "é", "éa", "a\nc"];

    [Theory]
    [InlineData("*.safetensors", "model.safetensors", true)]
    [InlineData("*.safetensors", "sub/model.safetensors", true)]
    [InlineData("*.safetensors", "model.SAFETENSORS", false)]
    [InlineData("original/**/*", "original/a/b", true)]
    [InlineData("original/**/*", "original/a", false)]
    [InlineData("[!a]x", "bx", true)]
    [InlineData("[!a]x", "ax", false)]
    [InlineData("[a-c]x", "bx", true)]
    [InlineData("[x", "[x", true)]
    public void Matches_Pattern_IsPythons(string pattern, string path, bool matches) => Assert.Equal(matches, HubFilePattern.Matches(pattern, path));

    [Fact]
    public async Task Matches_AllPairs_AreAsPythonSays()
    {
        if (SystemPython.Missing is not null)
        {
            return;
        }

        var expected = await SystemPython.RunAsync(
            "import sys, json, fnmatch\np, n = json.loads(sys.argv[1]), json.loads(sys.argv[2])\nprint(''.join('1' if fnmatch.fnmatchcase(b, a) else '0' for a in p for b in n))",
            System.Text.Json.JsonSerializer.Serialize(Patterns),
            System.Text.Json.JsonSerializer.Serialize(Paths));
        var actual = string.Concat(Patterns.SelectMany(pattern => Paths.Select(path => HubFilePattern.Matches(pattern, path) ? '1' : '0')));
        Assert.Equal(expected.Trim(), actual);
    }

    [Fact]
    public void Filter_PatternOfAFolder_MeansAllBelow() =>
        Assert.Equal(["sub/a", "sub/x/b"], HubFilePattern.Filter(["a", "sub/a", "sub/x/b", "sub/x/c"], ["sub/"], ["*/c"]));

    [Fact]
    public void Filter_NoPatterns_AllowsAll() => Assert.Equal(["a", "b/c"], HubFilePattern.Filter(["a", "b/c"], allow: null, ignore: null));

    [Fact]
    public void Matches_ManyStars_TakesNoLongTime() => Assert.False(HubFilePattern.Matches(string.Concat(Enumerable.Repeat("*a", 500)) + "b", new string('a', 5000)));
}
