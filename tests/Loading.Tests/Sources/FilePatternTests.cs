using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Patterns of paths and keys; what fits was asked of Python's own <c>fnmatch.fnmatchcase</c>.</summary>
public sealed class FilePatternTests
{
    private static readonly string[] Patterns =
        ["*", "", "?", "*.safetensors", "a?c", "[abc]x", "[!abc]x", "[a-c]x", "[a-]x", "[]]x", "[!]]x", "[x", "x[", "a*b*c", "**/x", "original/**/*", "[", "[]", "[!]", "a\\b", "*/", "é*", "[a-c-e]", "[c-a]x", "[!c-a]x", "[😀-😂]", "[!😀]", "a?b", "*?b"];

    private static readonly string[] Paths =
        ["", "a", "model.safetensors", "sub/model.safetensors", "abc", "a/c", "ax", "bx", "dx", "-x", "]x", "[x", "x[", "aXbXc", "original/a", "original/a/b", "original/a/b/c", "[", "[]", "[!]", "a\\b", "a/", "é", "éa", "a\nc", "😀", "😁", "a😀b", "-", "e", "d"];

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
    [InlineData("*.safetensors", "model.safetensors", true)]
    [InlineData("*.safetensors", "sub/model.safetensors", true)]
    [InlineData("*.safetensors", "model.SAFETENSORS", false)]
    [InlineData("original/**/*", "original/a/b", true)]
    [InlineData("original/**/*", "original/a", false)]
    [InlineData("[!a]x", "bx", true)]
    [InlineData("[!a]x", "ax", false)]
    [InlineData("[x", "[x", true)]
    public void Matches_AsPythonsFnmatch(string pattern, string key, bool fits) => Assert.Equal(fits, FilePattern.Matches(pattern, key));

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
        var actual = string.Concat(Patterns.SelectMany(pattern => Paths.Select(path => FilePattern.Matches(pattern, path) ? '1' : '0')));
        Assert.Equal(expected.Trim(), actual);
    }

    [Fact]
    public void Matches_ManyStars_TakesNoLongTime() => Assert.False(FilePattern.Matches(string.Concat(Enumerable.Repeat("*a", 500)) + "b", new string('a', 5000)));
}
