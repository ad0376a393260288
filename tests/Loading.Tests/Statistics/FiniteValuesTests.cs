using IlgpuLoader.Formats;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Bad input G13: values and scales that are not finite, which a file may have and no weight should.</summary>
public sealed class FiniteValuesTests
{
    public static TheoryData<DType> Scaled() =>
        [.. DType.All.Where(dtype => dtype.IsBlock && dtype is not (DType.MXFP4 or DType.NVFP4))];

    [Theory]
    [MemberData(nameof(Scaled))]
    public async Task A_NaN_or_infinite_scale_of_any_block_type_is_found(DType dtype)
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

        // Whichever two bytes hold a block's scale: some pair makes a NaN of it, and it is found there.
        var found = 0;
        for (var at = dtype.BlockSize; at + 1 < 2 * dtype.BlockSize; at++)
        {
            foreach (var (low, high) in new (byte, byte)[] { (0x00, 0x7C), (0x01, 0x7E), (0x80, 0x7F) })
            {
                var bad = (byte[])good.Clone();
                (bad[at], bad[at + 1]) = (low, high);
                await using var checkpoint = await OpenAsync(dtype, bad);
                if (await Record.ExceptionAsync(() => FiniteValues.EnsureAsync(checkpoint)) is { } error)
                {
                    Assert.Equal((CheckpointErrorCode.ValueNotFinite, "t"), (Assert.IsType<InvalidCheckpointException>(error).Code, ((InvalidCheckpointException)error).Tensor));
                    found++;
                }
            }
        }

        // IQ1_M spreads its scale over four nibbles, which no two bytes fill.
        Assert.True(dtype == DType.IQ1_M ? found == 0 : found >= 2, $"{found} found.");
    }

    [Fact]
    public async Task The_scale_that_is_spread_over_four_nibbles_is_found_too()
    {
        var block = new byte[DType.IQ1_M.BlockSize];
        // The last eight bytes: 7C00 in their top nibbles, lowest first.
        (block[^3], block[^1]) = (0xC0, 0x70);
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
        Assert.Contains("of 3 values 1 are NaN and 1 infinite, and one more tensor has such", error.Message, StringComparison.Ordinal);
        await FiniteValues.EnsureAsync(checkpoint, new TensorChoice([], ["masked", "too"]));
    }

    [Fact]
    public async Task A_strided_view_is_refused_and_not_passed_over()
    {
        await using var checkpoint = await ViewSample.OpenAsync();
        var error = await Assert.ThrowsAsync<UnsupportedCheckpointException>(() => FiniteValues.EnsureAsync(checkpoint));
        Assert.Equal("view", error.Tensor);
    }

    private static Task<Checkpoint> OpenAsync(DType dtype, byte[] blocks)
    {
        Assert.True(GgufTypes.TryGetId(dtype, out var id));
        var elements = (ulong)(blocks.Length / dtype.BlockSize * dtype.BlockLength);
        return Checkpoint.OpenAsync(new MemorySource(new GgufBuilder().Tensor("t", id, [elements], blocks).ToBytes()));
    }
}
