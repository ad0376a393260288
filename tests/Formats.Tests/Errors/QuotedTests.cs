using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Names come from files; a message that shows one must not be written by it.</summary>
public sealed class QuotedTests
{
    [Theory]
    [InlineData("")]
    [InlineData("model.layers.0.weight")]
    [InlineData("größe 語 it's \"so\" \\")]
    [InlineData("😀 and 𝒳")]
    public void Name_OfOrdinaryText_IsKept(string text)
    {
        Assert.Equal($"'{text}'", Quoted.Name(text));
        Assert.Equal(text, Quoted.Plain(text));
    }

    [Theory]
    [InlineData('\0', "\\u0000")]
    [InlineData('\n', "\\u000a")]
    [InlineData('\r', "\\u000d")]
    [InlineData('\u001b', "\\u001b")]
    [InlineData('\u007f', "\\u007f")]
    [InlineData('\u0085', "\\u0085")]
    [InlineData('\u009b', "\\u009b")]
    [InlineData('\u061c', "\\u061c")]
    [InlineData('\u200e', "\\u200e")]
    [InlineData('\u200f', "\\u200f")]
    [InlineData('\u2028', "\\u2028")]
    [InlineData('\u2029', "\\u2029")]
    [InlineData('\u202a', "\\u202a")]
    [InlineData('\u202e', "\\u202e")]
    [InlineData('\u2066', "\\u2066")]
    [InlineData('\u2069', "\\u2069")]
    public void CharacterThatMovesTheCursorOrTheDirection_IsEscaped(char character, string escaped)
    {
        Assert.Equal($"'a{escaped}b😀'", Quoted.Name($"a{character}b😀"));
        Assert.Equal($"{escaped}", Quoted.Plain($"{character}"));
    }

    [Fact]
    public void HalfOfASurrogatePair_IsEscaped()
    {
        // Not in attributes, whose text is UTF-8 and has no such thing.
        Assert.Equal("'\\ud800'", Quoted.Name("\ud800"));
        Assert.Equal("'a\\udc00b'", Quoted.Name("a\udc00b"));
        Assert.Equal("\\udc00\\ud800", Quoted.Plain("\udc00\ud800"));
        Assert.Equal("'\\ud83d😀'", Quoted.Name("\ud83d\ud83d\ude00"));
    }

    [Fact]
    public void Name_Of200Characters_IsWhole_AndOf201IsCut()
    {
        Assert.Equal($"'{new string('n', 200)}'", Quoted.Name(new string('n', 200)));
        Assert.Equal($"'{new string('n', 200)}…'", Quoted.Name(new string('n', 201)));
        Assert.Equal(new string('n', 201), Quoted.Plain(new string('n', 201)));
    }

    [Fact]
    public void Name_CutInsideASurrogatePair_LosesThePair()
    {
        Assert.Equal($"'{new string('n', 199)}…'", Quoted.Name(new string('n', 199) + "😀"));
        Assert.Equal($"'{new string('n', 198)}😀…'", Quoted.Name(new string('n', 198) + "😀m"));
    }

    [Fact]
    public void Name_FullOfControlCharacters_IsCutToo() =>
        Assert.Equal($"'{string.Concat(Enumerable.Repeat("\\u001b", 200))}…'", Quoted.Name(new string('\u001b', 1000)));
}
