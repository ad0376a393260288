using System.Runtime.InteropServices;
using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>
/// Unit bodies and vector paths of the block types against the oracle: any bytes, infinite and NaN scales among them, to every
/// target, at every misalignment.
/// </summary>
[Trait("Area", "Codecs")]
public sealed unsafe class BlockPathTests
{
    private const byte Guard = 0xA5;
    private const int Margin = 64;
    private static readonly int[] Widths = [128, 256, 512];

    public static TheoryData<DType> Types() => [.. Codecs.All.Where(codec => codec.DType.IsBlock).Select(codec => codec.DType)];

    public static TheoryData<DType> VectorTypes() => [.. BlockPath.Sources];

    [Fact]
    public void All_block_types_but_four_have_a_vector_path() => Assert.Equal(
        DType.All.Where(dtype => dtype.IsBlock)
            .Except([DType.Q8_1, DType.Q8_K, DType.Q1_0, DType.Q2_0]).Order(),
        BlockPath.Sources.Order());

    [Theory]
    [MemberData(nameof(Types))]
    public void A_unit_body_gives_the_oracles_value_of_any_bytes_rounded_once(DType dtype) =>
        Prop.ForAll(AnyBlocks(dtype), Gen.Elements(VectorPath.Targets).ToArbitrary(), (stored, target) =>
        {
            var actual = new byte[target.ByteCount(stored.Length / dtype.BlockSize * dtype.BlockLength)];
            Packed.CodecOf(dtype).DecodeScalar(stored, actual, target);
            return actual.AsSpan().SequenceEqual(Expected(dtype, stored, target));
        }).QuickCheckThrowOnFailure();

    [Theory]
    [MemberData(nameof(VectorTypes))]
    public void A_vector_path_gives_the_oracles_value_of_any_bytes_rounded_once(DType dtype) =>
        Prop.ForAll(AnyBlocks(dtype), Gen.Elements(VectorPath.Targets).ToArbitrary(), Gen.Elements(Widths).ToArbitrary(), (stored, target, width) =>
        {
            var actual = new byte[target.ByteCount(stored.Length / dtype.BlockSize * dtype.BlockLength)];
            BlockPath.Decode(dtype, width, stored, actual, target, bypassCache: stored.Length % 2 == 0);
            return actual.AsSpan().SequenceEqual(Expected(dtype, stored, target));
        }).QuickCheckThrowOnFailure();

    [Theory]
    [MemberData(nameof(VectorTypes))]
    public void A_vector_path_writes_its_values_and_nothing_else_at_every_misalignment(DType dtype)
    {
        var random = new Random(4);
        var stored = new byte[3 * dtype.BlockSize];
        random.NextBytes(stored);
        foreach (var target in new[] { DType.F32, DType.BF16, DType.F8_E4M3 })
        {
            var expected = Expected(dtype, stored, target);
            var first = (byte*)NativeMemory.AlignedAlloc((nuint)(stored.Length + expected.Length + (4 * Margin)), Margin);
            try
            {
                var source = new Span<byte>(first, stored.Length + Margin);
                // Every place of the source beside aligned stores, which are the only streaming ones, and some of the destination.
                (int Source, int Destination)[] shifts =
                    [.. Enumerable.Range(0, Margin).Select(shift => (shift, 0)), (0, 1), (2, 4), (3, 16), (17, 1), (31, 32), (5, 63)];
                var begin = first + ((stored.Length + (2 * Margin) - 1) / Margin * Margin);
                foreach (var (sourceShift, shift) in shifts)
                {
                    stored.CopyTo(source[sourceShift..]);
                    foreach (var width in Widths)
                    {
                        foreach (var bypassCache in new[] { false, true })
                        {
                            var destination = new Span<byte>(begin, expected.Length + Margin);
                            destination.Fill(Guard);
                            BlockPath.Decode(
                                dtype, width, source.Slice(sourceShift, stored.Length), destination.Slice(shift, expected.Length), target, bypassCache);
                            Assert.True(destination.Slice(shift, expected.Length).SequenceEqual(expected));
                            Assert.False(destination[..shift].ContainsAnyExcept(Guard));
                            Assert.False(destination[(shift + expected.Length)..].ContainsAnyExcept(Guard));
                        }
                    }
                }
            }
            finally
            {
                NativeMemory.AlignedFree(first);
            }
        }
    }

    [LinuxFact]
    public void No_path_reads_past_the_end_of_its_blocks()
    {
        // A read behind the guarded end would end the process: a harsh way to fail, but there is no other.
        using var guarded = new GuardedMemory();
        foreach (var dtype in Codecs.All.Select(codec => codec.DType).Where(dtype => dtype.IsBlock))
        {
            for (var blocks = 1; blocks <= 3; blocks++)
            {
                var source = guarded.Span[^(blocks * dtype.BlockSize)..];
                var destination = new byte[blocks * dtype.BlockLength * 4];
                Packed.CodecOf(dtype).DecodeScalar(source, destination, DType.F32);
                foreach (var width in BlockPath.Sources.Contains(dtype) ? Widths : [])
                {
                    BlockPath.Decode(dtype, width, source, destination, DType.F32, bypassCache: false);
                }
            }
        }
    }

    [Fact]
    public void A_scale_that_is_no_number_gives_the_NaN_of_ggml_on_x64()
    {
        // A signalling NaN with its sign and payload, made quiet; and infinity times the quant 8 - 8.
        Assert.Equal(0xFFC2_2000u, DecodeFirst(DType.Q4_0, [0x11, 0xFC]));
        Assert.Equal(0xFFC0_0000u, DecodeFirst(DType.Q4_0, [0x00, 0x7C]));
    }

    private static uint DecodeFirst(DType dtype, byte[] scale)
    {
        var stored = new byte[dtype.BlockSize];
        stored.AsSpan().Fill(0x88);
        scale.CopyTo(stored, 0);
        var scalar = new byte[dtype.BlockLength * 4];
        Packed.CodecOf(dtype).DecodeScalar(stored, scalar, DType.F32);
        foreach (var width in Widths)
        {
            var vector = new byte[scalar.Length];
            BlockPath.Decode(dtype, width, stored, vector, DType.F32, bypassCache: false);
            Assert.Equal(scalar, vector);
        }

        return BitConverter.ToUInt32(scalar);
    }

    /// <summary>The oracle's float32 values, narrowed by the codec of F32, which has tests of its own.</summary>
    private static byte[] Expected(DType dtype, byte[] stored, DType target)
    {
        var values = MemoryMarshal.AsBytes(BlockOracle.Decode(dtype, stored).AsSpan());
        var expected = new byte[target.ByteCount(values.Length / 4)];
        Packed.CodecOf(DType.F32).DecodeScalar(values, expected, target);
        return expected;
    }

    private static Arbitrary<byte[]> AnyBlocks(DType dtype) =>
        (from blocks in Gen.Choose(0, 5)
         from seed in Gen.Choose(int.MinValue, int.MaxValue)
         select RandomBytes(seed, blocks * dtype.BlockSize)).ToArbitrary();

    // A generator of each byte takes longer than what is tested.
    private static byte[] RandomBytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
