using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Every kind of scale a super-block can have, with every other kind of scale beside it, through every path.</summary>
[Trait("Area", "Codecs")]
public sealed class BlockScaleTests
{
    // Zeros, subnormals, the smallest and largest normal numbers, infinities, signalling and quiet NaN of either sign.
    private static readonly ushort[] Scales =
    [
        0x0000, 0x8000, 0x0001, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF, 0x7C00, 0xFC00, 0x7C01, 0xFD55, 0x7E00, 0xFFFF,
    ];

    public static TheoryData<DType, int[]> Offsets() => new()
    {
        { DType.Q2_K, [80, 82] },
        { DType.Q3_K, [108] },
        { DType.Q4_K, [0, 2] },
        { DType.Q5_K, [0, 2] },
        { DType.Q6_K, [208] },
        { DType.IQ4_XS, [0] },
        { DType.IQ2_XXS, [0] },
        { DType.IQ2_XS, [0] },
        { DType.IQ2_S, [0] },
        { DType.IQ3_XXS, [0] },
        { DType.IQ3_S, [0] },
        { DType.IQ1_S, [0] },
        { DType.IQ1_M, [] },
    };

    [Theory]
    [MemberData(nameof(Offsets))]
    public void Every_kind_of_scale_gives_the_oracles_values(DType dtype, int[] offsets)
    {
        var random = new Random(7);
        foreach (var first in Scales)
        {
            foreach (var second in Scales)
            {
                var stored = new byte[dtype.BlockSize];
                random.NextBytes(stored);
                Put(stored, offsets, [first, second]);
                var expected = MemoryMarshal.AsBytes(BlockOracle.Decode(dtype, stored).AsSpan()).ToArray();
                var actual = new byte[expected.Length];
                Packed.CodecOf(dtype).DecodeScalar(stored, actual, DType.F32);
                Assert.Equal(expected, actual);
                foreach (var width in new[] { 128, 256, 512 })
                {
                    BlockPath.Decode(dtype, width, stored, actual, DType.F32, bypassCache: false);
                    Assert.Equal(expected, actual);
                }
            }
        }
    }

    [Fact]
    public void Of_two_scales_that_are_no_numbers_the_products_NaN_is_kept()
    {
        // Block scales and minima of 1: neither product is infinity times zero.
        var stored = new byte[DType.Q2_K.BlockSize];
        stored.AsSpan(0, 80).Fill(0x11);
        Put(stored, [80, 82], [0xFC11, 0x7C01]);
        Assert.All(BlockOracle.Decode(DType.Q2_K, stored), value => Assert.Equal(0xFFC2_2000u, BitConverter.SingleToUInt32Bits(value)));
        Put(stored, [80, 82], [0x3C00, 0x7C01]);
        Assert.All(BlockOracle.Decode(DType.Q2_K, stored), value => Assert.Equal(0x7FC0_2000u, BitConverter.SingleToUInt32Bits(value)));
    }

    private static void Put(byte[] stored, int[] offsets, ushort[] scales)
    {
        for (var i = 0; i < offsets.Length; i++)
        {
            BitConverter.TryWriteBytes(stored.AsSpan(offsets[i]), scales[i]);
        }

        if (offsets is [])
        {
            // IQ1_M has a quarter of its scale on top of each of its last four words.
            for (var i = 0; i < 4; i++)
            {
                ref var top = ref stored[48 + (i * 2) + 1];
                top = (byte)((top & 0xF) | (((scales[0] >> (i * 4)) & 0xF) << 4));
            }
        }
    }
}
