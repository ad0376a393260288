using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The bad inputs G6 to G11 of formats.md section 5: names, dimensions, types, offsets and bounds of tensors.</summary>
public sealed class GgufBadTensorTests
{
    private const int F32 = 0;
    private const int Q4Zero = 2;

    private static readonly CheckpointOptions Lenient = new() { Gguf = new GgufLimits { Lenient = true } };

    [Fact]
    public async Task Open_NameOf63Bytes_IsTheLongest()
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync(One(name: new string('n', 63)));
        var file = One(name: new string('n', 62) + "é");
        var exception = await GgufOpening.RefusedAsync<CheckpointLimitException>(file, CheckpointErrorCode.TensorNameInvalid);
        Assert.Equal((64m, "GgufLimits.MaximumNameBytes"), (exception.Actual, exception.Option));
        await using var longer = await GgufOpening.AcceptedAsync(
            file, new CheckpointOptions { Gguf = new GgufLimits { MaximumNameBytes = 64 } });
        Assert.EndsWith("é", longer.Tensors[0].Name, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a\0b")]
    public async Task Open_NameThatIsNone_IsInvalid(string name) => await GgufOpening.InvalidAsync(One(name: name), CheckpointErrorCode.TensorNameInvalid);

    [Fact]
    public async Task Open_NameThatIsNotUtf8_IsInvalid() => await GgufOpening.InvalidAsync(
        new GgufBuilder().TensorRaw(fields => fields.Text([0xC3]).U32(0).U32(F32).U64(0)).ToBytes(), CheckpointErrorCode.HeaderNotUtf8);

    [Fact]
    public async Task Open_NameTwice_IsInvalid() => await GgufOpening.InvalidAsync(
        new GgufBuilder().Tensor("a", F32, [1], new byte[4]).Tensor("b", F32, [1], new byte[4]).Tensor("a", F32, [1], new byte[4]).ToBytes(),
        CheckpointErrorCode.DuplicateTensor,
        "a");

    [Theory]
    [InlineData(5u)]
    [InlineData(1_000_000u)]
    [InlineData(uint.MaxValue)]
    public async Task Open_MoreThanFourDimensions_AreNotRead(uint rank)
    {
        var file = new GgufBuilder().TensorRaw(fields => fields.Text("a").U32(rank).Raw(new byte[64])).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.HeaderFieldInvalid, "a");
        Assert.Contains($"{rank} dimensions", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1ul << 63)]
    public async Task Open_NegativeDimension_IsInvalid(ulong ne) =>
        await GgufOpening.InvalidAsync(One(ne: [1, ne]), CheckpointErrorCode.HeaderFieldInvalid, "a");

    [Theory]
    [InlineData(4194305ul, 4194305ul, 211106198978564ul)]
    [InlineData((1ul << 63) - 1, 2ul, 1ul)]
    [InlineData(1ul << 32, 1ul << 32, 1ul)]
    [InlineData(1ul << 62, 4ul, 16ul)]
    [InlineData((1ul << 63) - 1, 1ul, 1ul)]
    [InlineData(1ul << 61, 1ul, 1ul)]
    public async Task Open_SizeBeyond63Bits_IsInvalid(ulong first, ulong second, ulong third) =>
        await GgufOpening.InvalidAsync(One(ne: [first, second, third]), CheckpointErrorCode.SizeOverflow, "a");

    [Theory]
    [InlineData(4, "Q4_2")]
    [InlineData(5, "Q4_3")]
    [InlineData(31, "Q4_0_4_4")]
    [InlineData(33, "Q4_0_8_8")]
    [InlineData(36, "IQ4_NL_4_4")]
    [InlineData(38, "IQ4_NL_8_8")]
    public async Task Open_RemovedType_SaysToRequantise(int type, string name)
    {
        var exception = await GgufOpening.InvalidAsync(One(type: type, ne: [32]), CheckpointErrorCode.UnknownDType, "a");
        Assert.Contains(name, exception.Message, StringComparison.Ordinal);
        Assert.Contains("requantise", exception.Message, StringComparison.Ordinal);
        Assert.Contains("Q4_0", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(43)]
    [InlineData(77)]
    [InlineData(-1)]
    [InlineData(int.MinValue)]
    public async Task Open_UnknownType_IsInvalidUnlessItIsToBeListed(int type)
    {
        var file = new GgufBuilder().Tensor("a", F32, [1], new byte[4]).Tensor("b", type, [3, 2], new byte[6]).Tensor("c", F32, [1], [1, 2, 3, 4]).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.UnknownDType, "b");
        Assert.Contains($"type {type} ", exception.Message, StringComparison.Ordinal);

        await using var checkpoint = await GgufOpening.AcceptedAsync(file, new CheckpointOptions { ListUnreadableTensors = true });
        Assert.Equal(["a", "c"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([1, 2, 3, 4], await GgufOpening.BytesAsync(checkpoint["c"]));
        var unreadable = Assert.Single(checkpoint.UnreadableTensors);
        Assert.Equal(("b", type, $"type {type}?", new Shape(2, 3)), (unreadable.Name, unreadable.TypeId, unreadable.TypeName, unreadable.Shape));
        Assert.Equal(checkpoint["a"].Offset + 32, unreadable.Offset);
        Assert.False(checkpoint.TryGetTensor("b", out _));
    }

    [Theory]
    [InlineData(16ul)]
    [InlineData(33ul)]
    public async Task Open_TensorBehindOneOfUnknownType_MayNotBeginInsideOrBetween(ulong offset)
    {
        var file = new GgufBuilder()
            .Tensor("a", F32, [9], new byte[36]).Tensor("b", 99, [1], new byte[1]).Tensor("c", F32, [1], new byte[4], offset).ToBytes();
        var exception = await GgufOpening.InvalidAsync(
            file, CheckpointErrorCode.OffsetInvalid, "c", new CheckpointOptions { ListUnreadableTensors = true });
        Assert.DoesNotContain("--lenient", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1ul)]
    [InlineData(64ul)]
    [InlineData(ulong.MaxValue)]
    public async Task Open_UnknownTypeAtAWrongOffset_IsTheSameErrorWhetherItIsToBeListedOrNot(ulong offset)
    {
        var file = new GgufBuilder().Tensor("a", F32, [1], new byte[4]).Tensor("b", 99, [1], new byte[1], offset).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.UnknownDType, "b");
        var listing = await GgufOpening.InvalidAsync(
            file, CheckpointErrorCode.UnknownDType, "b", new CheckpointOptions { ListUnreadableTensors = true });
        Assert.Equal(exception.Message, listing.Message);
    }

    [Theory]
    [InlineData(4, "Q4_2 (removed)")]
    [InlineData(31, "Q4_0_4_4 (removed)")]
    [InlineData(38, "IQ4_NL_8_8 (removed)")]
    [InlineData(43, "type 43?")]
    public async Task Open_TypeThatIsListed_HasTheNameItOnceHad(int type, string name)
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync(
            One(type: type), new CheckpointOptions { ListUnreadableTensors = true });
        Assert.Equal(name, Assert.Single(checkpoint.UnreadableTensors).TypeName);
    }

    [Theory]
    [InlineData(2, 31ul, 32)]
    [InlineData(12, 128ul, 256)]
    [InlineData(40, 32ul, 64)]
    [InlineData(41, 64ul, 128)]
    public async Task Open_RowsThatAreNoWholeBlocks_AreInvalid(int type, ulong row, int block)
    {
        // All together they would be whole blocks.
        var exception = await GgufOpening.InvalidAsync(One(type: type, ne: [row, (ulong)block]), CheckpointErrorCode.MisalignedTensor, "a");
        Assert.Contains($"blocks of {block}", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ScalarOfABlockType_IsInvalid() =>
        await GgufOpening.InvalidAsync(One(type: Q4Zero, ne: []), CheckpointErrorCode.MisalignedTensor, "a");

    [Fact]
    public async Task Open_NoDimensions_IsAScalar()
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync(One(ne: []));
        Assert.Equal(Shape.Scalar, checkpoint["a"].Shape);
        Assert.Equal(4, checkpoint["a"].ByteLength);
    }

    [Fact]
    public async Task Open_DimensionsOfZero_AreTensorsWithoutBytes()
    {
        var file = new GgufBuilder().Tensor("a", F32, [0, 5], []).Tensor("b", Q4Zero, [32, 0], []).Tensor("c", F32, [1], [1, 2, 3, 4]).ToBytes();
        await using var checkpoint = await GgufOpening.AcceptedAsync(file);
        Assert.Equal(new Shape(5, 0), checkpoint["a"].Shape);
        Assert.Equal((0, 0), (checkpoint["a"].ByteLength, checkpoint["b"].ByteLength));
        Assert.Equal([1, 2, 3, 4], await GgufOpening.BytesAsync(checkpoint["c"]));
    }

    [Theory]
    [InlineData(1ul, "no multiple")]
    [InlineData(unchecked((ulong)-32), "begins at -32")]
    [InlineData(ulong.MaxValue, "begins at -1")]
    [InlineData(32ul, "a hole")]
    public async Task Open_WrongOffset_IsInvalid(ulong offset, string said)
    {
        var file = new GgufBuilder().Tensor("a", F32, [1], new byte[4], offset).Tensor("b", F32, [1], new byte[4]).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.OffsetInvalid, "a");
        Assert.Contains(said, exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_TensorsOutOfOrder_NeedLenience()
    {
        var file = new GgufBuilder()
            .Tensor("a", F32, [1], [1, 1, 1, 1], 64).Tensor("none", F32, [0], [], 64).Tensor("b", F32, [1], [2, 2, 2, 2], 0).Tensor("c", 24, [1], [3], 32).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.OffsetInvalid, "a");
        Assert.Contains("--lenient", exception.Message, StringComparison.Ordinal);
        await using var checkpoint = await GgufOpening.AcceptedAsync(file, Lenient);
        Assert.Equal(["b", "c", "none", "a"], checkpoint.Tensors.Select(tensor => tensor.Name));
        Assert.Equal([1, 1, 1, 1], await GgufOpening.BytesAsync(checkpoint["b"]));
    }

    [Theory]
    [InlineData(32ul, true)]
    [InlineData(64ul, true)]
    [InlineData(0ul, false)]
    [InlineData(33ul, false)]
    [InlineData(96ul, false)]
    [InlineData(unchecked((ulong)-32), false)]
    public async Task Open_HoleOverlapOrRange_IsJudgedWithLenienceToo(ulong offset, bool accepted)
    {
        // The first has 32 bytes at 0; 96 are in the file.
        var file = new GgufBuilder()
            .Tensor("a", F32, [8], new byte[32]).Tensor("b", F32, [2], new byte[8], offset).Tensor("c", F32, [0], []).ToBytes();
        Array.Resize(ref file, file.Length + 32);
        if (accepted)
        {
            await using var checkpoint = await GgufOpening.AcceptedAsync(file, Lenient);
            Assert.Equal((long)offset, checkpoint["b"].Offset - checkpoint["a"].Offset);
        }
        else
        {
            var exception = await GgufOpening.InvalidAsync(
                file, offset == 96 ? CheckpointErrorCode.FileTruncated : CheckpointErrorCode.OffsetInvalid, offset == 0 ? "a" : "b", Lenient);
            Assert.Contains(
                offset switch
                {
                    0 => "begins at 0 of the data section, inside the 8 bytes of the tensor 'b' at 0",
                    33 => "begins at 33 of the data section, which is no multiple of the alignment, 32",
                    96 => "its 8 bytes begin at byte",
                    _ => "begins at -32; no offset is negative",
                },
                exception.Message,
                StringComparison.Ordinal);
            Assert.DoesNotContain("--lenient", exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Open_FileCutByOneByte_IsTruncated()
    {
        var file = new GgufBuilder().Tensor("a", 24, [32], new byte[32]).ToBytes();
        await using var whole = await GgufOpening.AcceptedAsync(file);
        var exception = await GgufOpening.InvalidAsync(file[..^1], CheckpointErrorCode.FileTruncated, "a");
        Assert.Equal(file.Length - 1, exception.Offset);
    }

    [Fact]
    public async Task Open_BytesBehindTheLastTensor_AreNobodys()
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync([.. One(), .. new byte[1000]]);
        Assert.Single(checkpoint.Tensors);
        // Without the padding behind the last tensor, which only some writers write.
        await using var cut = await GgufOpening.AcceptedAsync(One()[..^28]);
        Assert.Single(cut.Tensors);
    }

    [Fact]
    public async Task Open_TwoTensorsThatTogetherWrapAround_AreInvalid()
    {
        const ulong size = 0x7FFFFFFFFFFFFFC0;
        var file = new GgufBuilder().Tensor("a", 24, [size], []).Tensor("b", 24, [size], [], size).Tensor("c", 24, [1], [1], 0).ToBytes();
        await GgufOpening.InvalidAsync(file, CheckpointErrorCode.SizeOverflow, "b");
        await GgufOpening.RefusedAsync<InvalidCheckpointException>(file, CheckpointErrorCode.SizeOverflow, Lenient);
    }

    private static byte[] One(string name = "a", int type = F32, ulong[]? ne = null) =>
        new GgufBuilder().Tensor(name, type, ne ?? [1], new byte[4]).ToBytes();
}
