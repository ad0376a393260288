using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Oracle, unit body and each vector path, every one called by name, against the values that ggml itself gives.</summary>
[Trait("Area", "Codecs")]
public sealed class GoldenBlockTests
{
    public static TheoryData<DType, string> Blocks()
    {
        var blocks = new TheoryData<DType, string>();
        foreach (var codec in Codecs.All.Where(codec => codec.DType.IsBlock))
        {
            blocks.Add(codec.DType, "quant");
            blocks.Add(codec.DType, "fuzz");
        }

        return blocks;
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void The_oracle_gives_the_values_of_ggml(DType dtype, string kind)
    {
        var (stored, expected) = Read(dtype, kind);
        Assert.Equal(expected, MemoryMarshal.AsBytes(BlockOracle.Decode(dtype, stored).AsSpan()).ToArray());
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void The_unit_body_gives_the_values_of_ggml(DType dtype, string kind)
    {
        var (stored, expected) = Read(dtype, kind);
        var actual = new byte[expected.Length];
        Packed.CodecOf(dtype).DecodeScalar(stored, actual, DType.F32);
        Assert.Equal(expected, actual);
    }

    [Theory]
    [MemberData(nameof(Blocks))]
    public void The_vector_paths_give_the_values_of_ggml(DType dtype, string kind)
    {
        if (!BlockPath.Sources.Contains(dtype))
        {
            // Types without a vector path are named by BlockPathTests; their fast path is the unit body.
            Assert.DoesNotContain(dtype, BlockPath.Sources);
            return;
        }

        var (stored, expected) = Read(dtype, kind);
        foreach (var width in new[] { 128, 256, 512 })
        {
            var actual = new byte[expected.Length];
            BlockPath.Decode(dtype, width, stored, actual, DType.F32, bypassCache: width == 256);
            Assert.Equal(expected, actual);
        }
    }

    private static (byte[] Stored, byte[] Expected) Read(DType dtype, string kind)
    {
        var expected = GoldenBlocks.Expected(dtype.Name, kind).ToArray();
        return (GoldenBlocks.Stored(dtype.Name, kind, (int)dtype.ByteCount(expected.Length / 4)), expected);
    }
}
