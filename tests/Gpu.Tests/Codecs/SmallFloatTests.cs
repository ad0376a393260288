using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Codecs")]
public sealed class SmallFloatTests
{
    public static TheoryData<DType, DType> Pairs()
    {
        var pairs = new TheoryData<DType, DType>();
        DType[] sources =
        [
            DType.F8_E4M3, DType.F8_E5M2, DType.F8_E4M3FNUZ, DType.F8_E5M2FNUZ, DType.F8_E8M0, DType.F6_E2M3, DType.F6_E3M2, DType.F4,
        ];
        foreach (var from in sources)
        {
            foreach (var to in VectorPath.Targets.Where(to => to != from))
            {
                pairs.Add(from, to);
            }
        }

        return pairs;
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public void Every_pattern_becomes_what_its_sign_exponent_and_mantissa_say(DType from, DType to)
    {
        var bits = from.BlockSize * 8 / from.BlockLength;

        // Twice, in another order: each pattern is in several lanes.
        ulong[] patterns = [.. Enumerable.Range(0, 3 << bits).Select(i => (ulong)((i < 1 << bits ? i : i * 73) & ((1 << bits) - 1)))];
        Packed.AssertEach(
            patterns,
            Packed.Decode(patterns, from, to),
            pattern => Arithmetic.Convert(
                from.IsSubByte ? FloatTable.Of(from).ToSingle(pattern) : Arithmetic.Convert(pattern, from, DType.F32), DType.F32, to));
    }

    [Theory]
    [InlineData(DType.F8_E4M3)]
    [InlineData(DType.F8_E5M2)]
    [InlineData(DType.F8_E4M3FNUZ)]
    [InlineData(DType.F8_E5M2FNUZ)]
    public void Every_8_bit_number_is_exact_in_every_wider_type_and_comes_back_as_itself(DType dtype)
    {
        foreach (var through in new[] { DType.F32, DType.F16, DType.BF16, DType.F64 })
        {
            var patterns = HardValues.AllOf(dtype);
            var back = Packed.Decode(Packed.Decode(patterns, dtype, through), through, dtype);

            // A NaN comes back as the one that narrowing makes.
            Packed.AssertEach(patterns, back, bits => dtype == DType.F8_E5M2 && (bits & 0x7F) > 0x7C ? bits | 0x7F : bits);
        }
    }

    [Theory]
    [InlineData(DType.F8_E4M3, 0x7F, 0x7FC0_0000u)]
    [InlineData(DType.F8_E4M3, 0xFF, 0xFFC0_0000u)]
    [InlineData(DType.F8_E4M3, 0x7E, 0x43E0_0000u)] // 448
    [InlineData(DType.F8_E4M3, 0x01, 0x3B00_0000u)] // 2^-9
    [InlineData(DType.F8_E4M3, 0x80, 0x8000_0000u)]
    [InlineData(DType.F8_E5M2, 0xFC, 0xFF80_0000u)]
    [InlineData(DType.F8_E5M2, 0x7D, 0x7FC0_0000u)]
    [InlineData(DType.F8_E5M2, 0xFE, 0xFFC0_0000u)]
    [InlineData(DType.F8_E5M2, 0x7B, 0x4760_0000u)] // 57344
    [InlineData(DType.F8_E4M3FNUZ, 0x80, 0x7FC0_0000u)]
    [InlineData(DType.F8_E4M3FNUZ, 0xFF, 0xC370_0000u)] // -240
    [InlineData(DType.F8_E4M3FNUZ, 0x01, 0x3A80_0000u)] // 2^-10
    [InlineData(DType.F8_E5M2FNUZ, 0x80, 0x7FC0_0000u)]
    [InlineData(DType.F8_E5M2FNUZ, 0x7F, 0x4760_0000u)] // 57344
    [InlineData(DType.F8_E5M2FNUZ, 0x81, 0xB700_0000u)] // -2^-17
    [InlineData(DType.F8_E8M0, 0x00, 0x0040_0000u)] // 2^-127, a subnormal
    [InlineData(DType.F8_E8M0, 0x01, 0x0080_0000u)]
    [InlineData(DType.F8_E8M0, 0x7F, 0x3F80_0000u)]
    [InlineData(DType.F8_E8M0, 0xFE, 0x7F00_0000u)] // 2^127
    [InlineData(DType.F8_E8M0, 0xFF, 0x7FC0_0000u)]
    public void Known_bytes_become_known_F32(DType from, byte stored, uint expected)
    {
        var actual = Packed.Decode([.. Enumerable.Repeat((ulong)stored, 70)], from, DType.F32);
        Assert.All(actual, bits => Assert.Equal(expected, bits));
    }

    [Fact]
    public void The_first_F4_of_a_byte_is_in_its_low_half()
    {
        Assert.Equal([0.5f, 1f, -6f, -0f, 4f, 1.5f, 2f, -3f], Singles(DType.F4, [0x21, 0x8F, 0x36, 0xD4]));
    }

    [Fact]
    public void F6_follow_each_other_from_the_lowest_bit_of_three_bytes_on()
    {
        // Elements 1, 2, 4 and 63 from the lowest bit: 111111 000100 000010 000001.
        byte[] packed = [0b1000_0001, 0b0100_0000, 0b1111_1100];
        Assert.Equal([0.125f, 0.25f, 0.5f, -7.5f], Singles(DType.F6_E2M3, packed));
        Assert.Equal([0.0625f, 0.125f, 0.25f, -28f], Singles(DType.F6_E3M2, packed));
    }

    [Fact]
    public async Task Golden_F8_tensors_become_their_expected_values()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(GoldenArchive.Read(TorchManifest.Set, "fp8.safetensors"), "fp8.safetensors"));
        foreach (var (name, file) in new[] { ("e4m3", "fp8_e4m3"), ("e5m2", "fp8_e5m2"), ("e8m0", "fp8_e8m0") })
        {
            var tensor = checkpoint.Tensors.Single(tensor => tensor.Name == name);
            var stored = new byte[tensor.ByteLength];
            await tensor.File.Source.ReadExactlyAsync(tensor.Offset, stored);
            var expected = NpyFile.Golden(TorchManifest.Set, $"expected/{file}.npy");
            Assert.Equal(("<f4", false), (expected.Descriptor, expected.FortranOrder));
            var values = MemoryMarshal.Cast<byte, uint>(expected.Data.Span).ToArray();

            // Their NaN is that of the library that wrote them, and ours is held above.
            Assert.Equal(
                values.Select(bits => IsNaN(bits) ? 0x7FC0_0000ul : bits),
                Packed.Decode(Packed.Patterns(stored, 1), tensor.DType, DType.F32).Select(bits => IsNaN(bits) ? 0x7FC0_0000ul : bits));
        }
    }

    private static bool IsNaN(ulong bits) => Arithmetic.IsNaN(bits, Arithmetic.FormatOf(DType.F32));

    private static float[] Singles(DType from, byte[] stored)
    {
        var values = new byte[stored.Length / from.BlockSize * from.BlockLength * sizeof(float)];
        Packed.CodecOf(from).DecodeScalar(stored, values, DType.F32);
        return MemoryMarshal.Cast<byte, float>(values).ToArray();
    }
}
