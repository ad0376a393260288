using System.Text.RegularExpressions;
using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class NamePatternTests
{
    // Few characters, so that they meet.
    private static readonly Gen<string> Texts = Gen.ArrayOf(Gen.Elements('a', 'b', '*', '?', '\\')).Select(characters => new string(characters));

    [Fact]
    public void Patterns_match_as_the_regular_expression_they_stand_for()
    {
        Prop.ForAll(Texts.ToArbitrary(), Texts.ToArbitrary(), (pattern, name) =>
            NamePattern.Matches(pattern, name) == Regex.IsMatch(name, Expression(pattern), RegexOptions.NonBacktracking, TimeSpan.FromMinutes(1)))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
    }

    [Fact]
    public void The_exact_pattern_of_a_name_matches_that_name_only()
    {
        Prop.ForAll(Texts.ToArbitrary(), Texts.ToArbitrary(), (name, other) =>
            NamePattern.Matches(NamePattern.Exactly(name), name)
            && NamePattern.Matches(NamePattern.Exactly(name), other) == (name == other))
            .Check(Config.QuickThrowOnFailure.WithMaxTest(5000));
    }

    [Theory]
    [InlineData("", "", true)]
    [InlineData("*", "", true)]
    [InlineData("?", "", false)]
    [InlineData("", "a", false)]
    [InlineData("model.*.weight", "model.layers.0.weight", true)]
    [InlineData("model.*.weight", "model.weight", false)]
    [InlineData("*.q_proj.*", "model.layers.0.self_attn.q_proj.weight", true)]
    [InlineData("layers.?", "layers.10", false)]
    [InlineData("a\\", "a\\", true)]
    [InlineData("\\?", "x", false)]
    public void A_pattern_matches_the_whole_name(string pattern, string name, bool expected) =>
        Assert.Equal(expected, NamePattern.Matches(pattern, name));

    [Fact]
    public void A_pattern_of_many_stars_ends()
    {
        var stars = string.Concat(Enumerable.Repeat("*a", 200)) + "b";
        Assert.False(NamePattern.Matches(stars, new string('a', 5000)));
    }

    private static string Expression(string pattern)
    {
        var expression = "";
        for (var i = 0; i < pattern.Length; i++)
        {
            expression += pattern[i] switch
            {
                '*' => ".*",
                '?' => ".",
                '\\' when i + 1 < pattern.Length => Regex.Escape(pattern[++i].ToString()),
                var character => Regex.Escape(character.ToString()),
            };
        }

        return $@"\A(?s:{expression})\z";
    }
}
