using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Codecs")]
public sealed class NarrowingTests
{
    [Theory]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    public void F32_narrows_to_the_nearest_even_value_of_a_16_bit_type(DType to)
    {
        var patterns = HardValues.SinglesFor(to);
        var actual = Packed.Decode(patterns, DType.F32, to);
        Packed.AssertEach(patterns, actual, bits => Arithmetic.Convert(bits, DType.F32, to));
    }

    [Fact]
    public void F32_narrows_to_the_F16_that_System_Half_makes_of_it()
    {
        var patterns = HardValues.SinglesFor(DType.F16);
        var actual = Packed.Decode(patterns, DType.F32, DType.F16);
        Packed.AssertEach(
            patterns, actual, bits => BitConverter.HalfToUInt16Bits((Half)BitConverter.UInt32BitsToSingle((uint)bits)));
    }

    [Fact]
    public void F64_narrows_to_the_F32_that_a_cast_makes_of_it()
    {
        var patterns = HardValues.Doubles().Where(bits => !double.IsNaN(BitConverter.UInt64BitsToDouble(bits))).ToArray();
        var actual = Packed.Decode(patterns, DType.F64, DType.F32);
        Packed.AssertEach(
            patterns, actual, bits => BitConverter.SingleToUInt32Bits((float)BitConverter.UInt64BitsToDouble(bits)));
    }

    [Theory]
    [InlineData(DType.F32)]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    public void F64_narrows_to_the_nearest_even_value_through_F32(DType to)
    {
        var patterns = HardValues.Doubles();
        var actual = Packed.Decode(patterns, DType.F64, to);
        Packed.AssertEach(patterns, actual, bits => Arithmetic.Convert(bits, DType.F64, to));
    }

    [Theory]
    [InlineData(DType.F32, 0x7F80_0001ul, DType.F16, 0x7E00ul)]
    [InlineData(DType.F32, 0xFFA0_2000ul, DType.F16, 0xFF01ul)]
    [InlineData(DType.F32, 0x7F80_0001ul, DType.BF16, 0x7FC0ul)]
    [InlineData(DType.F32, 0xFF81_FFFFul, DType.BF16, 0xFFC1ul)]
    [InlineData(DType.F32, 0x477F_F000ul, DType.F16, 0x7C00ul)] // 65520
    [InlineData(DType.F32, 0x477F_EFFFul, DType.F16, 0x7BFFul)]
    [InlineData(DType.F32, 0x3300_0000ul, DType.F16, 0x0000ul)] // half the smallest subnormal, a tie
    [InlineData(DType.F32, 0x3300_0001ul, DType.F16, 0x0001ul)]
    [InlineData(DType.F32, 0x7F7F_8000ul, DType.BF16, 0x7F80ul)]
    [InlineData(DType.F64, 0x7FF0_0000_0000_0001ul, DType.F32, 0x7FC0_0000ul)]
    [InlineData(DType.F64, 0xFFF4_0000_2000_0000ul, DType.F32, 0xFFE0_0001ul)]
    [InlineData(DType.F64, 0x36A0_0000_0000_0001ul, DType.F32, 0x0000_0001ul)]
    public void Known_patterns_narrow_to_known_ones(DType from, ulong stored, DType to, ulong expected)
    {
        var actual = Packed.Decode([.. Enumerable.Repeat(stored, 40)], from, to);
        Assert.All(actual, bits => Assert.Equal(expected, bits));
    }

    [Fact]
    public void F64_rounds_twice_on_its_way_to_F16_as_PyTorch_does()
    {
        // Just above the midpoint of 1 and the next F16: one rounding would go up, the one to F32 lands on the midpoint first.
        var value = BitConverter.DoubleToUInt64Bits(1 + Math.ScaleB(1, -11) + Math.ScaleB(1, -40));
        Assert.Equal(0x3C00ul, Packed.Decode([value], DType.F64, DType.F16)[0]);
    }
}
