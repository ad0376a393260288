using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>The corners of the block types, worked out by hand from ggml's rules: every path gives these bits.</summary>
[Trait("Area", "Codecs")]
public sealed class KnownBlockTests
{
    private const uint Invalid = 0xFFC0_0000;

    [Theory]
    [InlineData(0x11, 0x7C, 0x22, 0xFE, 0xFF, 0x7FC2_2000)] // of two NaN the product's, made quiet
    [InlineData(0x00, 0x3C, 0x22, 0xFC, 0xFF, 0xFFC4_4000)]
    [InlineData(0x00, 0x7C, 0x22, 0xFE, 0xFF, 0xFFC4_4000)]
    [InlineData(0x00, 0x7C, 0x22, 0x7E, 0x00, Invalid)] // infinity * 0 is a NaN too, and comes first
    [InlineData(0x00, 0x7C, 0x00, 0xFC, 0xFF, Invalid)] // infinity - infinity
    [InlineData(0x00, 0x80, 0x00, 0x80, 0xFF, 0x8000_0000)] // -0 * 15 + -0
    [InlineData(0x00, 0x80, 0x00, 0x00, 0xFF, 0)]
    public void Q4_1_and_Q5_1_add_as_x64_does(byte scaleLow, byte scaleHigh, byte minimumLow, byte minimumHigh, byte quants, uint expected)
    {
        byte[] scales = [scaleLow, scaleHigh, minimumLow, minimumHigh];
        Assert.All(DecodeAll(DType.Q4_1, scales, quants), bits => Assert.Equal(expected, bits));
        Assert.All(DecodeAll(DType.Q5_1, scales, quants), bits => Assert.Equal(expected, bits));
    }

    [Theory]
    [InlineData(0, 1, 0x0020_0000)] // 2^-128 is subnormal, and kept
    [InlineData(0, 9, 0x8020_0000)]
    [InlineData(1, 1, 0x0040_0000)]
    [InlineData(2, 1, 0x0080_0000)]
    [InlineData(128, 7, 0x4140_0000)]
    [InlineData(128, 8, 0)] // minus zero is lost
    [InlineData(255, 1, 0x7F00_0000)] // no NaN
    [InlineData(255, 2, 0x7F80_0000)]
    [InlineData(255, 15, 0xFF80_0000)]
    public void MXFP4_has_scales_from_2_to_the_minus_128_to_2_to_the_127(byte scale, int code, uint expected) =>
        Assert.All(DecodeAll(DType.MXFP4, [scale], Twice(code)), bits => Assert.Equal(expected, bits));

    [Theory]
    [InlineData(0x00, 9, 0x8000_0000)]
    [InlineData(0x7F, 1, 0)]
    [InlineData(0x7F, 15, 0x8000_0000)]
    [InlineData(0x80, 15, 0x8000_0000)] // bit 7 is ignored
    [InlineData(0xFF, 1, 0x4370_0000)] // but FF is no 7F: 240
    [InlineData(0x7E, 1, 0x4360_0000)]
    [InlineData(0x01, 1, 0x3A80_0000)] // subnormal, 2^-9 / 2
    [InlineData(0x07, 1, 0x3BE0_0000)]
    [InlineData(0x08, 1, 0x3C00_0000)] // the smallest normal, 2^-6 / 2
    [InlineData(0x38, 8, 0)]
    public void NVFP4_scales_are_UE4M3_as_ggml_reads_it(byte scale, int code, uint expected) =>
        Assert.All(DecodeAll(DType.NVFP4, [scale, scale, scale, scale], Twice(code)), bits => Assert.Equal(expected, bits));

    [Fact]
    public void NVFP4_has_a_scale_for_each_16_values()
    {
        // 0.5, 1, 2 and 4, halved, times the double of 0.5 that code 1 is.
        var bits = DecodeAll(DType.NVFP4, [0x30, 0x38, 0x40, 0x48], 0x11);
        for (var i = 0; i < bits.Length; i++)
        {
            Assert.Equal(0.25f * (1 << (i / 16)), BitConverter.UInt32BitsToSingle(bits[i]));
        }
    }

    [Theory]
    [InlineData(85, -1f)]
    [InlineData(86, 0f)]
    [InlineData(170, 0f)]
    [InlineData(171, 1f)]
    public void TQ1_0_takes_thirds_of_256_also_of_bytes_that_no_quantiser_writes(byte stored, float expected)
    {
        var block = Block(DType.TQ1_0, [], stored);
        (block[52], block[53]) = (0x00, 0x3C);
        var bits = Decode(DType.TQ1_0, block);
        Assert.Equal(expected, BitConverter.UInt32BitsToSingle(bits[0])); // first digits of each of the three parts
        Assert.Equal(expected, BitConverter.UInt32BitsToSingle(bits[160]));
        Assert.Equal(expected, BitConverter.UInt32BitsToSingle(bits[240]));
    }

    [Theory]
    [InlineData(0x00, 0x7F80_0001, 0x7FC0_0001)] // made quiet, even times 0
    [InlineData(0x03, 0x3DCC_CCCD, 0x3E99_999A)] // 0.1 * 3 is rounded
    [InlineData(0x80, 0x3F80_0000, 0xC300_0000)]
    public void Q8_K_has_a_scale_of_32_bits(byte quant, uint scale, uint expected) =>
        Assert.All(DecodeAll(DType.Q8_K, BitConverter.GetBytes(scale), quant), bits => Assert.Equal(expected, bits));

    [Theory]
    [InlineData(0xFF, 0x00, 0x3C, 0x3F80_0000)]
    [InlineData(0x00, 0x00, 0x3C, 0xBF80_0000)]
    [InlineData(0x00, 0x00, 0x00, 0x8000_0000)]
    [InlineData(0xFF, 0x01, 0x7C, 0x7FC0_2000)]
    [InlineData(0x00, 0x01, 0x7C, 0xFFC0_2000)] // a NaN is negated too
    public void Q1_0_is_the_scale_or_its_negation(byte quants, byte scaleLow, byte scaleHigh, uint expected) =>
        Assert.All(DecodeAll(DType.Q1_0, [scaleLow, scaleHigh], quants), bits => Assert.Equal(expected, bits));

    [Theory]
    [InlineData(DType.Q8_0, 0)]
    [InlineData(DType.Q4_1, 0)]
    [InlineData(DType.Q4_1, 2)]
    public void Every_F16_scale_and_minimum_gives_the_oracles_values(DType dtype, int offset)
    {
        // 1.0 and quants of one, with every pattern of 16 bits at the offset.
        var stored = new byte[(1 << 16) * dtype.BlockSize];
        stored.AsSpan().Fill(0x11);
        for (var pattern = 0; pattern < 1 << 16; pattern++)
        {
            var block = stored.AsSpan(pattern * dtype.BlockSize, dtype.BlockSize);
            (block[0], block[1]) = (0x00, 0x3C);
            (block[offset], block[offset + 1]) = ((byte)pattern, (byte)(pattern >> 8));
        }

        var values = MemoryMarshal.AsBytes(BlockOracle.Decode(dtype, stored).AsSpan()).ToArray();
        foreach (var target in new[] { DType.F32, DType.F16, DType.BF16 })
        {
            var expected = new byte[target.ByteCount(values.Length / 4)];
            Packed.CodecOf(DType.F32).DecodeScalar(values, expected, target);
            var actual = new byte[expected.Length];
            Packed.CodecOf(dtype).DecodeScalar(stored, actual, target);
            Assert.True(expected.AsSpan().SequenceEqual(actual));
            foreach (var width in new[] { 128, 256, 512 })
            {
                BlockPath.Decode(dtype, width, stored, actual, target, bypassCache: false);
                Assert.True(expected.AsSpan().SequenceEqual(actual), $"Vectors of {width} bits differ for {target}.");
            }
        }
    }

    private static byte Twice(int code) => (byte)(code * 0x11);

    private static uint[] DecodeAll(DType dtype, byte[] scales, byte rest) => Decode(dtype, Block(dtype, scales, rest));

    private static byte[] Block(DType dtype, byte[] scales, byte rest)
    {
        var block = new byte[dtype.BlockSize];
        block.AsSpan().Fill(rest);
        scales.CopyTo(block, 0);
        return block;
    }

    /// <summary>Decodes by every path and the oracle, which must agree.</summary>
    private static uint[] Decode(DType dtype, byte[] block)
    {
        var scalar = new byte[dtype.BlockLength * 4];
        Packed.CodecOf(dtype).DecodeScalar(block, scalar, DType.F32);
        var bits = Packed.Patterns(scalar, 4).Select(pattern => (uint)pattern).ToArray();
        Assert.Equal(bits, BlockOracle.Decode(dtype, block).Select(BitConverter.SingleToUInt32Bits));
        foreach (var width in BlockPath.Sources.Contains(dtype) ? new[] { 128, 256, 512 } : [])
        {
            var vector = new byte[scalar.Length];
            BlockPath.Decode(dtype, width, block, vector, DType.F32, bypassCache: false);
            Assert.Equal(scalar, vector);
        }

        return bits;
    }
}
