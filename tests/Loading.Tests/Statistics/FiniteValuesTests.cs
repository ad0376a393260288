using System.Buffers.Binary;
using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Bad input G13: values and scales that are not finite, which a file may have and no weight should.</summary>
public sealed class FiniteValuesTests
{
    // Where the scales of a block lie (ggml/src/ggml-common.h): halves, and of Q8_K a float.
    private static readonly Dictionary<DType, int[]> Scales = new()
    {
        [DType.Q4_0] = [0],
        [DType.Q5_0] = [0],
        [DType.Q8_0] = [0],
        [DType.Q1_0] = [0],
        [DType.Q2_0] = [0],
        [DType.IQ4_NL] = [0],
        [DType.IQ4_XS] = [0],
        [DType.IQ1_S] = [0],
        [DType.IQ2_XXS] = [0],
        [DType.IQ2_XS] = [0],
        [DType.IQ2_S] = [0],
        [DType.IQ3_XXS] = [0],
        [DType.IQ3_S] = [0],
        [DType.Q8_K] = [0],
        [DType.Q4_1] = [0, 2],
        [DType.Q5_1] = [0, 2],
        // The half behind d is the sum of the quants, from which no value is computed.
        [DType.Q8_1] = [0],
        [DType.Q4_K] = [0, 2],
        [DType.Q5_K] = [0, 2],
        [DType.Q2_K] = [80, 82],
        [DType.Q3_K] = [108],
        [DType.Q6_K] = [208],
        [DType.TQ1_0] = [52],
        [DType.TQ2_0] = [64],
    };

    // Halves and upper halves of floats: infinities of both signs, and NaN quiet and signalling.
    private static readonly ushort[] BadHalves = [0x7C00, 0xFC00, 0x7E00, 0xFC01];
    private static readonly uint[] BadFloats = [0x7F800000, 0xFF800000, 0x7FC00000, 0xFF800001];

    public static TheoryData<DType, int> EveryScale
    {
        get
        {
            var data = new TheoryData<DType, int>();
            foreach (var (dtype, offsets) in Scales)
            {
                foreach (var offset in offsets)
                {
                    data.Add(dtype, offset);
                }
            }

            return data;
        }
    }

    [Fact]
    public void Every_block_type_is_among_the_tests() =>
        // The others have tests of their own: a scale in four nibbles, and exponents of a byte.
        Assert.Equal(
            DType.All.Where(dtype => dtype.IsBlock).Order(), Scales.Keys.Concat([DType.IQ1_M, DType.MXFP4, DType.NVFP4]).Order());

    [Theory]
    [MemberData(nameof(EveryScale))]
    public async Task A_NaN_or_infinite_scale_is_found_whichever_it_is(DType dtype, int offset)
    {
        var good = new byte[3 * dtype.BlockSize];
        new Random(3).NextBytes(good);
        for (var i = 0; i < good.Length; i++)
        {
            // No scale of 16 or 32 bits is then infinite or NaN: its exponent lacks a bit.
            good[i] &= 0xBF;
        }

        await using (var checkpoint = await OpenAsync(dtype, good))
        {
            await FiniteValues.EnsureAsync(checkpoint);
        }

        for (var i = 0; i < BadHalves.Length; i++)
        {
            var bad = (byte[])good.Clone();
            var scale = bad.AsSpan(dtype.BlockSize + offset);
            if (dtype == DType.Q8_K)
            {
                BinaryPrimitives.WriteUInt32LittleEndian(scale, BadFloats[i]);
            }
            else
            {
                BinaryPrimitives.WriteUInt16LittleEndian(scale, BadHalves[i]);
            }

            await using var checkpoint = await OpenAsync(dtype, bad);
            var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint));
            Assert.Equal((CheckpointErrorCode.ValueNotFinite, "t"), (error.Code, error.Tensor));
            Assert.Contains($"of {3 * dtype.BlockLength} values", error.Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(0x7C00)]
    [InlineData(0xFC00)]
    [InlineData(0x7E00)]
    [InlineData(0xFC01)]
    public async Task The_scale_that_is_spread_over_four_nibbles_is_found_too(int scale)
    {
        var block = new byte[DType.IQ1_M.BlockSize];
        for (var i = 0; i < 4; i++)
        {
            // The last eight bytes are four words, whose top nibbles are the scale, lowest first.
            block[^(7 - (2 * i))] = (byte)(((scale >> (4 * i)) & 0xF) << 4);
        }

        await using var checkpoint = await OpenAsync(DType.IQ1_M, block);
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint));
        Assert.Equal(CheckpointErrorCode.ValueNotFinite, error.Code);
    }

    [Fact]
    public async Task The_reserved_exponent_of_MXFP4_is_found_where_it_decodes_to_numbers_too()
    {
        var blocks = new byte[40 * DType.MXFP4.BlockSize];
        blocks[37 * DType.MXFP4.BlockSize] = 0xFF;
        await using var checkpoint = await OpenAsync(DType.MXFP4, blocks);
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint));
        Assert.Equal(
            (CheckpointErrorCode.ValueNotFinite, checkpoint["t"].Offset + (37 * DType.MXFP4.BlockSize), "t"), (error.Code, error.Offset, error.Tensor));
    }

    [Fact]
    public async Task Every_byte_of_NVFP4_is_accepted()
    {
        var blocks = new byte[256 * DType.NVFP4.BlockSize];
        for (var i = 0; i < blocks.Length; i++)
        {
            blocks[i] = (byte)(i * 37);
        }

        await using var checkpoint = await OpenAsync(DType.NVFP4, blocks);
        await FiniteValues.EnsureAsync(checkpoint);
    }

    [Fact]
    public async Task Floats_are_looked_at_as_well_and_the_first_tensor_is_named_with_the_number_of_others()
    {
        var file = new SafetensorsBuilder()
            .Add("fine", "F32", [2], new byte[8])
            .Add("masked", "F16", [3], [0x00, 0xFC, 0x00, 0x00, 0x01, 0x7E])
            .Add("too", "BF16", [1], [0x80, 0x7F])
            .ToBytes();
        await using var checkpoint = await Sample.Of(file).OpenAsync();
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint));
        Assert.Equal((CheckpointErrorCode.ValueNotFinite, "masked"), (error.Code, error.Tensor));
        Assert.Contains("of 3 values 1 is NaN and 1 is infinite, and one more tensor has such", error.Message, StringComparison.Ordinal);
        await FiniteValues.EnsureAsync(checkpoint, new TensorChoice([], ["masked", "too"]));
    }

    [Theory]
    [InlineData(DType.Q4_K, 40_000)]
    [InlineData(DType.Q8_0, 0)]
    [InlineData(DType.F16, 3_000_001)]
    public async Task The_block_at_fault_is_named_by_its_place_in_the_file(DType dtype, int block)
    {
        // Zeros all over, and one scale or value that is NaN.
        var stored = new byte[(block + 3) * dtype.BlockSize];
        (stored[block * dtype.BlockSize], stored[(block * dtype.BlockSize) + 1]) = (0x01, 0x7E);
        await using var checkpoint = await OpenAsync(dtype, stored);
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint));
        Assert.Equal(checkpoint["t"].Offset + ((long)block * dtype.BlockSize), error.Offset);
    }

    [Fact]
    public async Task The_element_of_a_view_that_is_not_finite_is_found_where_it_lies_and_others_of_its_storage_are_not_looked_at()
    {
        var storage = new byte[4 * 12];
        BitConverter.TryWriteBytes(storage.AsSpan(4 * 7), float.NaN);
        var made = ViewSample.Of(DType.F32, storage);
        await using var fine = made.Open(new ViewShape("columns", [3, 2], [4, 2], 0));
        await FiniteValues.EnsureAsync(fine);
        await using var bad = made.Open(new ViewShape("turned", [4, 3], [1, 4], 0));
        var error = await Assert.ThrowsAsync<InvalidCheckpointException>(() => FiniteValues.EnsureAsync(bad));
        Assert.Equal(("turned", bad["turned"].Offset + (4 * 7)), (error.Tensor, error.Offset));
    }

    private static Task<Checkpoint> OpenAsync(DType dtype, byte[] blocks)
    {
        Assert.True(GgufTypes.TryGetId(dtype, out var id));
        var elements = (ulong)(blocks.Length / dtype.BlockSize * dtype.BlockLength);
        return Checkpoint.OpenAsync(new MemorySource(new GgufBuilder().Tensor("t", id, [elements], blocks).ToBytes()));
    }
}
