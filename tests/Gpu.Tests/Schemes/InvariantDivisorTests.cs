using FsCheck;
using FsCheck.Fluent;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Division by a multiplication is division.</summary>
[Trait("Area", "Codecs")]
public sealed class InvariantDivisorTests
{
    [Fact]
    public void It_divides_as_division_does()
    {
        var numbers = Gen.Choose(0, int.MaxValue);
        var divisors = Gen.OneOf(Gen.Choose(1, 300), Gen.Choose(1, int.MaxValue), Gen.Choose(0, 30).Select(power => 1 << power));
        Prop.ForAll(
            numbers.Zip(divisors).ToArbitrary(),
            pair => new InvariantDivisor(pair.Item2).Divide(pair.Item1) == pair.Item1 / pair.Item2).Check(Config.QuickThrowOnFailure.WithMaxTest(20_000));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(127)]
    [InlineData(128)]
    [InlineData(641)]
    [InlineData(0x4000_0001)]
    [InlineData(int.MaxValue)]
    public void It_divides_on_both_sides_of_every_multiple(int divisor)
    {
        var by = new InvariantDivisor(divisor);
        foreach (var multiple in new[] { 0L, 1, 2, int.MaxValue / divisor / 2, int.MaxValue / divisor })
        {
            for (var number = Math.Max(0, (multiple * divisor) - 2); number <= Math.Min(int.MaxValue, (multiple * divisor) + 2); number++)
            {
                Assert.Equal((int)(number / divisor), by.Divide((int)number));
            }
        }
    }

    [Fact]
    public void A_divisor_beyond_an_int_divides_to_zero() => Assert.Equal(0, new InvariantDivisor(1L << 40).Divide(int.MaxValue));

    [Fact]
    public void Nothing_is_divided_by_zero() => Assert.Throws<ArgumentOutOfRangeException>(() => new InvariantDivisor(0));
}
