using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class NaturalOrderTests
{
    [Theory]
    [InlineData("model-2-of-10", "model-10-of-10")]
    [InlineData("a", "b")]
    [InlineData("a", "a1")]
    [InlineData("a9", "a10")]
    [InlineData("a01", "a2")]
    [InlineData("layers.9.x", "layers.10.a")]
    [InlineData("1", "99999999999999999999999999999999999999999")]
    public void Compare_RunsOfDigits_CountByValue(string smaller, string larger)
    {
        Assert.True(NaturalOrder.Instance.Compare(smaller, larger) < 0);
        Assert.True(NaturalOrder.Instance.Compare(larger, smaller) > 0);
    }

    [Fact]
    public void Compare_LeadingZeros_DecideWhereNothingElseDoes() =>
        Assert.NotEqual(0, NaturalOrder.Instance.Compare("a01", "a1"));

    [Fact]
    public void Compare_IsATotalOrder()
    {
        var names = ArbMap.Default.ArbFor<int>().Generator
            .Select(number => $"{(char)('a' + (Math.Abs(number % 3)))}{new string('0', Math.Abs(number / 3 % 3))}{Math.Abs(number / 9 % 13)}{((number & 1) == 0 ? "x" : "")}")
            .ToArbitrary();
        Check.QuickThrowOnFailure(Prop.ForAll(names, names, names, (a, b, c) =>
        {
            var order = NaturalOrder.Instance;
            var antisymmetric = Math.Sign(order.Compare(a, b)) == -Math.Sign(order.Compare(b, a));
            var equalOnlyToItself = order.Compare(a, b) != 0 || a == b;
            var transitive = order.Compare(a, b) > 0 || order.Compare(b, c) > 0 || order.Compare(a, c) <= 0;
            return antisymmetric && equalOnlyToItself && transitive;
        }));
    }
}
