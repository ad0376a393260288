using System.Numerics;
using System.Runtime.Intrinsics;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Arithmetic on four quants at once, with neighbours that would show a carry.</summary>
[Trait("Area", "Codecs")]
public sealed class FourQuantsTests
{
    private static readonly sbyte[] Neighbours = [0, 1, 63, 127, -1, -63, -128];

    [Fact]
    public void Subtraction_never_carries_between_quants()
    {
        for (var quant = 0; quant <= 127; quant++)
        {
            for (var subtrahend = 0; subtrahend <= 128; subtrahend++)
            {
                foreach (var neighbour in new[] { 0, 127 })
                {
                    var difference = FourQuants.Subtract(Pack(quant, neighbour, quant, neighbour), subtrahend * 0x0101_0101);
                    Assert.Equal(
                        Pack(quant - subtrahend, neighbour - subtrahend, quant - subtrahend, neighbour - subtrahend), difference);
                }
            }
        }
    }

    [Fact]
    public void Addition_never_carries_between_quants()
    {
        for (var quant = -127; quant <= 126; quant++)
        {
            foreach (var neighbour in Neighbours)
            {
                Assert.Equal(
                    Pack(quant + 1, neighbour - 1, neighbour + 1, quant - 1),
                    FourQuants.Add(Pack(quant, neighbour, neighbour, quant), Pack(1, -1, 1, -1)));
            }
        }
    }

    [Fact]
    public void Each_sign_negates_its_own_quant()
    {
        for (var signs = 0; signs < 256; signs++)
        {
            int Signed(int quant, int bit) => ((signs >> bit) & 1) == 0 ? quant : -quant;
            Assert.Equal(
                Pack(Signed(1, 0), Signed(8, 1), Signed(62, 2), Signed(127, 3)), FourQuants.Negate(Pack(1, 8, 62, 127), signs));
        }
    }

    [Fact]
    public void An_eighth_sign_makes_the_number_of_negative_quants_even()
    {
        for (var seven = 0; seven < 128; seven++)
        {
            var complete = QuantSigns.Complete(Pack(seven, 127 - seven, seven, 0));
            foreach (var (shift, signs) in new[] { (0, seven), (8, 127 - seven), (16, seven), (24, 0) })
            {
                var eight = (complete >> shift) & 0xFF;
                Assert.Equal(signs, eight & 0x7F);
                Assert.Equal(0, BitOperations.PopCount((uint)eight) % 2);
            }
        }
    }

    [Fact]
    public void Each_bit_negates_its_own_quant_in_a_vector()
    {
        var quants = Vector256.CreateSequence<sbyte>(1, 1);
        for (var bit = 0; bit < 32; bit++)
        {
            var expected = quants.WithElement(bit, (sbyte)-quants[bit]);
            Assert.Equal(expected, QuantSigns.Apply(quants, 1 << bit));
            Assert.Equal(-expected, QuantSigns.Apply(quants, ~(1 << bit)));
        }
    }

    private static int Pack(int first, int second, int third, int fourth) =>
        (first & 0xFF) | ((second & 0xFF) << 8) | ((third & 0xFF) << 16) | ((fourth & 0xFF) << 24);
}
