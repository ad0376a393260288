using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Codecs")]
public sealed class NarrowingTests
{
    [Theory]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    [InlineData(DType.F8_E4M3)]
    [InlineData(DType.F8_E5M2)]
    [InlineData(DType.F8_E4M3FNUZ)]
    [InlineData(DType.F8_E5M2FNUZ)]
    public void F32_narrows_to_the_nearest_even_value_of_a_small_type(DType to)
    {
        var patterns = HardValues.SinglesFor(to);
        var actual = Packed.Decode(patterns, DType.F32, to);
        Packed.AssertEach(patterns, actual, bits => Arithmetic.Convert(bits, DType.F32, to));
    }

    [Theory]
    [InlineData(DType.F16)]
    [InlineData(DType.BF16)]
    public void F32_narrows_to_what_a_search_among_all_16_bit_values_finds(DType to)
    {
        var table = FloatTable.Of(to);
        var patterns = HardValues.SinglesFor(to)
            .Where(bits => !Arithmetic.IsNaN(bits, Arithmetic.FormatOf(DType.F32))).Take(600_000).ToArray();
        var actual = Packed.Decode(patterns, DType.F32, to);
        Packed.AssertEach(patterns, actual, bits => table.Nearest(BitConverter.UInt32BitsToSingle((uint)bits)));
    }

    [Fact]
    public void Any_F32_narrows_to_the_nearest_value_of_any_small_type()
    {
        var targets = Gen.Elements(DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ, DType.F16, DType.BF16);
        var singles = ArbMap.Default.GeneratorFor<uint>();

        // Half of them within what eight bits can hold.
        var near = from mantissa in singles from exponent in Gen.Choose(100, 150) select (mantissa & 0x807F_FFFF) | ((uint)exponent << 23);
        Prop.ForAll(targets.ToArbitrary(), Gen.ArrayOf(Gen.OneOf(singles, near)).ToArbitrary(), (to, bits) =>
        {
            ulong[] patterns = [.. bits.Select(single => (ulong)single)];
            Packed.AssertEach(patterns, Packed.Decode(patterns, DType.F32, to), single => Arithmetic.Convert(single, DType.F32, to));
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(500));
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
    [InlineData(DType.F8_E4M3)]
    [InlineData(DType.F8_E5M2)]
    [InlineData(DType.F8_E4M3FNUZ)]
    [InlineData(DType.F8_E5M2FNUZ)]
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
    [InlineData(DType.F32, 0x43E8_0000ul, DType.F8_E4M3, 0x7Eul)] // 464, a tie
    [InlineData(DType.F32, 0xC3E8_0000ul, DType.F8_E4M3, 0xFEul)]
    [InlineData(DType.F32, 0x43E8_0001ul, DType.F8_E4M3, 0x7Ful)]
    [InlineData(DType.F32, 0xFF80_0000ul, DType.F8_E4M3, 0xFFul)]
    [InlineData(DType.F32, 0xFF80_0001ul, DType.F8_E4M3, 0xFFul)]
    [InlineData(DType.F32, 0x7FFF_FFFFul, DType.F8_E4M3, 0x7Ful)]
    [InlineData(DType.F32, 0x8000_0000ul, DType.F8_E4M3, 0x80ul)]
    [InlineData(DType.F32, 0x3A80_0000ul, DType.F8_E4M3, 0x00ul)] // half the smallest subnormal, a tie
    [InlineData(DType.F32, 0x3A80_0001ul, DType.F8_E4M3, 0x01ul)]
    [InlineData(DType.F32, 0x476F_FFFFul, DType.F8_E5M2, 0x7Bul)]
    [InlineData(DType.F32, 0x4770_0000ul, DType.F8_E5M2, 0x7Cul)] // 61440, a tie
    [InlineData(DType.F32, 0xFF7F_FFFFul, DType.F8_E5M2, 0xFCul)]
    [InlineData(DType.F32, 0xFF80_0001ul, DType.F8_E5M2, 0xFFul)]
    [InlineData(DType.F32, 0x0000_0001ul, DType.F8_E5M2, 0x00ul)]
    [InlineData(DType.F32, 0x8000_0001ul, DType.F8_E5M2, 0x80ul)]
    [InlineData(DType.F32, 0x4377_FFFFul, DType.F8_E4M3FNUZ, 0x7Ful)]
    [InlineData(DType.F32, 0x4378_0000ul, DType.F8_E4M3FNUZ, 0x80ul)] // 248, a tie
    [InlineData(DType.F32, 0xC378_0000ul, DType.F8_E4M3FNUZ, 0x80ul)]
    [InlineData(DType.F32, 0x8000_0000ul, DType.F8_E4M3FNUZ, 0x00ul)]
    [InlineData(DType.F32, 0xBA00_0000ul, DType.F8_E4M3FNUZ, 0x00ul)] // minus half the smallest subnormal, a tie
    [InlineData(DType.F32, 0xBA00_0001ul, DType.F8_E4M3FNUZ, 0x81ul)]
    [InlineData(DType.F32, 0x476F_FFFFul, DType.F8_E5M2FNUZ, 0x7Ful)]
    [InlineData(DType.F32, 0x4770_0000ul, DType.F8_E5M2FNUZ, 0x80ul)]
    [InlineData(DType.F32, 0x7FC0_0000ul, DType.F8_E5M2FNUZ, 0x80ul)]
    [InlineData(DType.F64, 0x3FF1_0000_1000_0000ul, DType.F8_E4M3, 0x38ul)] // a tie after the rounding to F32, not before
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
