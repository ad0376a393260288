using System.Runtime.InteropServices;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Oracle, unit body and each vector path, every one called by name, against the values that ggml itself gives.</summary>
[Trait("Area", "Codecs")]
public sealed class GoldenBlockTests
{
    public static TheoryData<DType, string> Blocks() => Of(Codecs.All.Select(codec => codec.DType).Where(dtype => dtype.IsBlock));

    public static TheoryData<DType, string> VectorBlocks() => Of(BlockPath.Sources);

    [Theory]
    [MemberData(nameof(Blocks))]
    public void The_oracle_gives_the_values_of_ggml(DType dtype, string kind) =>
        AssertGolden(dtype, kind, (stored, values) => MemoryMarshal.AsBytes(BlockOracle.Decode(dtype, stored).AsSpan()).CopyTo(values));

    [Theory]
    [MemberData(nameof(Blocks))]
    public void The_unit_body_gives_the_values_of_ggml(DType dtype, string kind) =>
        AssertGolden(dtype, kind, (stored, values) => Packed.CodecOf(dtype).DecodeScalar(stored, values, DType.F32));

    [Theory]
    [MemberData(nameof(VectorBlocks))]
    public void The_vector_paths_give_the_values_of_ggml(DType dtype, string kind)
    {
        foreach (var width in new[] { 128, 256, 512 })
        {
            foreach (var bypassCache in new[] { false, true })
            {
                AssertGolden(dtype, kind, (stored, values) => BlockPath.Decode(dtype, width, stored, values, DType.F32, bypassCache));
            }
        }
    }

    private static TheoryData<DType, string> Of(IEnumerable<DType> dtypes)
    {
        var blocks = new TheoryData<DType, string>();
        foreach (var dtype in dtypes)
        {
            blocks.Add(dtype, "quant");
            blocks.Add(dtype, "fuzz");
        }

        return blocks;
    }

    // All blocks at once, and odd numbers of them from odd places, at odd addresses; into memory that streaming stores can use.
    private static unsafe void AssertGolden(DType dtype, string kind, Way decode)
    {
        var expected = GoldenBlocks.Expected(dtype.Name, kind).ToArray();
        var stored = GoldenBlocks.Stored(dtype.Name, kind, (int)dtype.ByteCount(expected.Length / 4));
        var blocks = stored.Length / dtype.BlockSize;
        var shifted = new byte[stored.Length + 64];
        var destination = (byte*)NativeMemory.AlignedAlloc((nuint)expected.Length, 64);
        try
        {
            foreach (var (first, count, shift) in new[] { (0, blocks, 0), (1, blocks - 1, 1), (0, 1, 3), (blocks / 2, 3, 5), (blocks - 1, 1, 63) })
            {
                var source = shifted.AsSpan(shift, count * dtype.BlockSize);
                stored.AsSpan(first * dtype.BlockSize, source.Length).CopyTo(source);
                var values = new Span<byte>(destination, count * dtype.BlockLength * 4);
                values.Clear();
                decode(source, values);
                Assert.True(values.SequenceEqual(expected.AsSpan(first * dtype.BlockLength * 4, values.Length)), $"{count} blocks from {first} on.");
            }
        }
        finally
        {
            NativeMemory.AlignedFree(destination);
        }
    }

    private delegate void Way(ReadOnlySpan<byte> stored, Span<byte> values);
}
