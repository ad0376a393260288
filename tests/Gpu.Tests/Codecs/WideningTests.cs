using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Codecs")]
public sealed class WideningTests
{
    [Theory]
    [InlineData(DType.F16, DType.F32)]
    [InlineData(DType.F16, DType.F64)]
    [InlineData(DType.F16, DType.BF16)]
    [InlineData(DType.BF16, DType.F32)]
    [InlineData(DType.BF16, DType.F64)]
    [InlineData(DType.BF16, DType.F16)]
    public void Every_pattern_of_a_16_bit_type_becomes_what_arithmetic_says(DType from, DType to)
    {
        var patterns = HardValues.AllOfSixteenBits();

        // A 16-bit type reaches the others through F32.
        Packed.AssertEach(
            patterns,
            Packed.Decode(patterns, from, to),
            bits => Arithmetic.Convert(Arithmetic.Convert(bits, from, DType.F32), DType.F32, to));
    }

    [Fact]
    public void Every_F16_becomes_the_F32_that_System_Half_makes_of_it()
    {
        var patterns = HardValues.AllOfSixteenBits();
        Packed.AssertEach(
            patterns,
            Packed.Decode(patterns, DType.F16, DType.F32),
            bits => BitConverter.SingleToUInt32Bits((float)BitConverter.UInt16BitsToHalf((ushort)bits)));
    }

    [Fact]
    public void Every_F16_that_is_a_number_becomes_the_F64_that_System_Half_makes_of_it()
    {
        var patterns = HardValues.AllOfSixteenBits().Where(bits => !Arithmetic.IsNaN(bits, Arithmetic.FormatOf(DType.F16))).ToArray();
        Packed.AssertEach(
            patterns,
            Packed.Decode(patterns, DType.F16, DType.F64),
            bits => BitConverter.DoubleToUInt64Bits((double)BitConverter.UInt16BitsToHalf((ushort)bits)));
    }

    [Fact]
    public void F32_becomes_the_F64_of_the_same_value()
    {
        var patterns = HardValues.SinglesFor(DType.F16);
        var actual = Packed.Decode(patterns, DType.F32, DType.F64);
        Packed.AssertEach(patterns, actual, bits => Arithmetic.Convert(bits, DType.F32, DType.F64));
    }

    [Theory]
    [InlineData(DType.F16, 0x7C01u, 0x7FC0_2000u)]
    [InlineData(DType.F16, 0xFE01u, 0xFFC0_2000u)]
    [InlineData(DType.F16, 0x0001u, 0x3380_0000u)]
    [InlineData(DType.F16, 0x8000u, 0x8000_0000u)]
    [InlineData(DType.BF16, 0x7F81u, 0x7F81_0000u)]
    [InlineData(DType.BF16, 0x0001u, 0x0001_0000u)]
    [InlineData(DType.F32, 0x7F80_0001u, 0x7F80_0001u)]
    public void Known_patterns_become_known_F32(DType from, uint stored, uint expected)
    {
        // 40 of them, so that vectors of every width have one.
        var actual = Packed.Decode([.. Enumerable.Repeat((ulong)stored, 40)], from, DType.F32);
        Assert.All(actual, bits => Assert.Equal(expected, bits));
    }
}
