using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class WeightNameMapperTests
{
    [Fact]
    public void Substrings_come_before_prefixes_and_prefixes_before_suffixes()
    {
        var mapper = new WeightNameMapper(
            substrings: [new("b", "a.")], prefixes: [new("a.", "x"), new("x", "y")], suffixes: [new("x", "never"), new("end", "y"), new("y", "z")]);
        Assert.Equal("y.end2", mapper.Map("b.end2"));
        Assert.Equal("yz", mapper.Map("bend"));
    }

    // Each rule that fits is applied to what the ones before have made, at the first place only.
    [Fact]
    public void Rules_of_a_kind_are_applied_one_behind_the_other()
    {
        var mapper = new WeightNameMapper([new("a", "bb"), new("b", "c"), new("c", "")]);
        Assert.Equal("b.a", mapper.Map("a.a"));
        Assert.Equal("", mapper.Map("c"));
        Assert.Equal("x", mapper.Map("x"));
    }

    [Fact]
    public void An_empty_prefix_or_suffix_fits_each_name()
    {
        var mapper = new WeightNameMapper(prefixes: [new("", "model.")], suffixes: [new("", ".weight")]);
        Assert.Equal("model.a.weight", mapper.Map("a"));
        Assert.Equal("model..weight", mapper.Map(""));
    }

    [Fact]
    public void A_prefix_and_a_suffix_are_replaced_at_their_ends_only()
    {
        var mapper = new WeightNameMapper(prefixes: [new("a.", "b.")], suffixes: [new(".w", ".weight")]);
        Assert.Equal("b.a.w.weight", mapper.Map("a.a.w.w"));
        Assert.Equal("A.w.", mapper.Map("A.w."));
    }

    [Fact]
    public void A_rule_without_a_target_leaves_the_weight_out()
    {
        Assert.Null(new WeightNameMapper([new("b", null)]).Map("abc"));
        Assert.Null(new WeightNameMapper(prefixes: [new("a", null)]).Map("abc"));
        Assert.Null(new WeightNameMapper(suffixes: [new("c", null)]).Map("abc"));
        Assert.Equal("abc", new WeightNameMapper([new("d", null)], [new("b", null)], [new("b", null)]).Map("abc"));
        // What a rule before has made is what counts.
        Assert.Equal("xb", new WeightNameMapper([new("a", "x"), new("ab", null)]).Map("ab"));
    }

    [Fact]
    public void Rules_do_what_single_replacements_do() =>
        Prop.ForAll(
            (from name in Text(8) from substrings in Rules(1) from prefixes in Rules(0) from suffixes in Rules(0) select (name, substrings, prefixes, suffixes)).ToArbitrary(),
            sample =>
            {
                // By splitting and joining, where the mapper cuts.
                string? expected = sample.name;
                foreach (var (from, to) in sample.substrings)
                {
                    var parts = expected?.Split(from, 2);
                    expected = parts is { Length: 2 } ? to is null ? null : string.Join(to, parts) : expected;
                }

                foreach (var (from, to) in sample.prefixes)
                {
                    expected = expected is null || expected[..Math.Min(from.Length, expected.Length)] != from ? expected : to is null ? null : to + expected.Remove(0, from.Length);
                }

                foreach (var (from, to) in sample.suffixes)
                {
                    expected = expected is null || expected[Math.Max(expected.Length - from.Length, 0)..] != from ? expected
                        : to is null ? null : expected.Remove(expected.Length - from.Length) + to;
                }

                Assert.Equal(expected, new WeightNameMapper(sample.substrings, sample.prefixes, sample.suffixes).Map(sample.name));
            }).Check(Config.QuickThrowOnFailure.WithMaxTest(1000));

    [Fact]
    public void All_names_are_given_in_their_order_without_those_left_out()
    {
        var mapper = new WeightNameMapper(prefixes: [new("vision.", null), new("", "model.")]);
        Assert.Equal([("b", "model.b"), ("a", "model.a")], mapper.MapAll(["b", "vision.x", "a"]).AsEnumerable());
    }

    [Fact]
    public void Names_that_become_one_are_refused_with_both()
    {
        var mapper = new WeightNameMapper(prefixes: [new("a.", "x."), new("b\u001b.", "x.")], suffixes: [new("gone", "")]);
        var exception = Assert.Throws<ModelMismatchException>(() => mapper.MapAll(["a.w", "c", "x.w", "b\u001b.w", "gone"]));
        Assert.Equal(
            [
                "by the rules both 'a.w' and 'x.w' become 'x.w'",
                "by the rules both 'a.w' and 'b\\u001b.w' become 'x.w'",
                "by its rules the name of tensor 'gone' becomes empty",
            ],
            exception.Problems.AsEnumerable());
    }

    [Fact]
    public void Rules_must_differ_and_say_what()
    {
        Assert.Contains(
            "two rules for the prefix 'a'",
            Assert.Throws<ArgumentException>(() => new WeightNameMapper(prefixes: [new("a", "b"), new("a", "c")])).Message,
            StringComparison.Ordinal);
        Assert.Equal("substrings", Assert.Throws<ArgumentException>(() => new WeightNameMapper([new("", "b")])).ParamName);
        Assert.Equal("suffixes", Assert.Throws<ArgumentException>(() => new WeightNameMapper(suffixes: [new(null!, "b")])).ParamName);
    }

    private static Gen<string> Text(int longest) =>
        from length in Gen.Choose(0, longest) from letters in Gen.Elements('a', 'b', '.').ArrayOf(length) select new string(letters);

    private static Gen<NameRule[]> Rules(int shortest) =>
        from count in Gen.Choose(0, 3)
        from rules in (from start in Text(2)
                       from to in Text(2)
                       from isLeftOut in Gen.Choose(0, 5)
                       select new NameRule(start, isLeftOut == 0 ? null : to)).Where(rule => rule.From.Length >= shortest).ArrayOf(count)
        select rules.DistinctBy(rule => rule.From).ToArray();
}
