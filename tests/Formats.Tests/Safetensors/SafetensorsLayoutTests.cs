using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Headers that are well-formed and describe the data wrongly: formats.md section 5, S5 and S8 to S12.</summary>
public sealed class SafetensorsLayoutTests
{
    [Theory]
    [InlineData(0, 4)]
    [InlineData(4, 8)]
    public async Task Open_NameGivenTwice_NamesIt(ulong begin, ulong end)
    {
        var header = $"{{{SafetensorsBuilder.Entry("a.b", "F32", [1], 0, 4)},{SafetensorsBuilder.Entry("a.b", "F32", [1], begin, end)}}}";
        await Opening.InvalidAsync(SafetensorsBuilder.File(header, new byte[end]), CheckpointErrorCode.DuplicateTensor, "a.b");
    }

    [Fact]
    public async Task Open_NameGivenTwiceInTwoSpellings_NamesIt()
    {
        const string header = """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}""";
        await Opening.InvalidAsync(SafetensorsBuilder.File(header, new byte[2]), CheckpointErrorCode.DuplicateTensor, "a");
    }

    [Fact]
    public async Task Open_FirstTensorNotAtTheStart_SaysWhereItBegins()
    {
        var exception = await LayoutInvalidAsync(CheckpointErrorCode.OffsetInvalid, "a", 8, SafetensorsBuilder.Entry("a", "F32", [1], 4, 8));
        Assert.Contains("begins at 4 where 0 was expected", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_HoleBetweenTensors_SaysWhereItIs()
    {
        var exception = await LayoutInvalidAsync(
            CheckpointErrorCode.OffsetInvalid,
            "b",
            12,
            SafetensorsBuilder.Entry("a", "F32", [1], 0, 4),
            SafetensorsBuilder.Entry("b", "F32", [1], 8, 12));
        Assert.Contains("begins at 8 where 4 was expected", exception.Message, StringComparison.Ordinal);
        Assert.Contains("hole", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_OverlapOfFourBytes_SaysSo()
    {
        var exception = await LayoutInvalidAsync(
            CheckpointErrorCode.OffsetInvalid,
            "b",
            12,
            SafetensorsBuilder.Entry("a", "F32", [2], 0, 8),
            SafetensorsBuilder.Entry("b", "F32", [2], 4, 12));
        Assert.Contains("overlaps", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_EndBeforeBegin_SaysBoth()
    {
        var exception = await LayoutInvalidAsync(CheckpointErrorCode.OffsetInvalid, "a", 4, SafetensorsBuilder.Entry("a", "F32", [1], 4, 0));
        Assert.Contains("ends at 0, before it begins at 4", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_SameRangeAThousandTimes_Throws()
    {
        var entries = Enumerable.Range(0, 1000).Select(i => SafetensorsBuilder.Entry($"t{i}", "F32", [1], 0, 4)).ToArray();
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => Checkpoint.OpenAsync(new MemorySource(SafetensorsBuilder.File($"{{{string.Join(',', entries)}}}", new byte[4]), Opening.Name)));
        Assert.Equal(CheckpointErrorCode.OffsetInvalid, exception.Code);
    }

    [Fact]
    public async Task Open_BeginAtTheEndOfSixtyFourBits_DoesNotWrap()
    {
        var exception = await LayoutInvalidAsync(
            CheckpointErrorCode.OffsetInvalid,
            "b",
            4,
            SafetensorsBuilder.Entry("a", "F32", [1], 0, 4),
            SafetensorsBuilder.Entry("b", "U8", [0], ulong.MaxValue, ulong.MaxValue));
        Assert.Null(exception.Offset);
    }

    [Theory]
    [InlineData("F32", new ulong[] { 2, 3 }, 20, 24)]
    [InlineData("BOOL", new ulong[] { 3 }, 4, 3)]
    [InlineData("F32", new ulong[0], 8, 4)]
    [InlineData("F32", new ulong[] { 0 }, 4, 0)]
    [InlineData("U64", new ulong[] { 1 }, 0, 8)]
    [InlineData("F4", new ulong[] { 4, 8 }, 32, 16)]
    [InlineData("F6_E3M2", new ulong[] { 4 }, 4, 3)]
    public async Task Open_RangeOfAnotherSizeThanTheShape_SaysBothSizes(string dtype, ulong[] shape, int rangeBytes, int shapeBytes)
    {
        var exception = await LayoutInvalidAsync(
            CheckpointErrorCode.SizeMismatch, "a", rangeBytes, SafetensorsBuilder.Entry("a", dtype, shape, 0, (ulong)rangeBytes));
        Assert.Contains($"takes {shapeBytes} bytes, but its range has {rangeBytes}", exception.Message, StringComparison.Ordinal);
        Assert.Contains(dtype, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("U8", new ulong[] { 2, ulong.MaxValue - 1 })]
    [InlineData("U8", new ulong[] { 1ul << 63, 4, 0 })]
    [InlineData("I32", new ulong[] { 2, (1ul << 63) - 1 })]
    [InlineData("U8", new ulong[] { 1ul << 61 })]
    [InlineData("U64", new ulong[] { 1ul << 32, 1ul << 32 })]
    [InlineData("F4", new ulong[] { 1ul << 62 })]
    public async Task Open_SizeBeyondSixtyFourBits_Throws(string dtype, ulong[] shape)
    {
        var exception = await LayoutInvalidAsync(CheckpointErrorCode.SizeOverflow, "a", 0, SafetensorsBuilder.Entry("a", dtype, shape, 0, 0));
        Assert.Contains($"[{string.Join(", ", shape)}]", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_ZeroBeforeLargeDimensions_IsAnEmptyTensor()
    {
        var file = SafetensorsBuilder.File($"{{{SafetensorsBuilder.Entry("a", "F32", [0, 1ul << 62, 4], 0, 0)}}}");
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file, Opening.Name));
        Assert.Equal(0, checkpoint["a"].ElementCount);
        Assert.Equal(new long[] { 0, 1L << 62, 4 }, checkpoint["a"].Shape);
    }

    [Theory]
    [InlineData(new ulong[] { 0, 1ul << 63 })]
    [InlineData(new ulong[] { 1ul << 62, 2, 0 })]
    public async Task Open_EmptyTensorWhoseDimensionsNeedMoreThanSignedNumbers_IsADeviationWithItsOwnMessage(ulong[] shape)
    {
        // The reference counts unsigned and accepts these; no tool makes them.
        var exception = await LayoutInvalidAsync(CheckpointErrorCode.SizeOverflow, "a", 0, SafetensorsBuilder.Entry("a", "F32", shape, 0, 0));
        Assert.Contains("9223372036854775807", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("F4", 3)]
    [InlineData("F6_E2M3", 1)]
    [InlineData("F6_E3M2", 2)]
    [InlineData("F6_E2M3", 6)]
    public async Task Open_SubByteTensorThatEndsWithinAByte_Throws(string dtype, int elements)
    {
        var exception = await LayoutInvalidAsync(
            CheckpointErrorCode.MisalignedTensor, "a", 2, SafetensorsBuilder.Entry("a", dtype, [(ulong)elements], 0, 2));
        Assert.Contains("no whole number of bytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_SubByteTensors_CountLogicalElements()
    {
        var file = new SafetensorsBuilder().Add("f4", "F4", [4, 8], new byte[16]).Add("f6", "F6_E3M2", [4], new byte[3]).ToBytes();
        await using var checkpoint = await Opening.AcceptedAsync(file);
        Assert.Equal(32, checkpoint["f4"].ElementCount);
        Assert.Equal(16, checkpoint["f4"].ByteLength);
        Assert.Equal(3, checkpoint["f6"].ByteLength);
    }

    [Fact]
    public async Task Open_OneTrailingByte_SaysWhereItIs()
    {
        byte[] file = [.. SafetensorsBuilder.Tiny(), 0];
        var exception = await Opening.InvalidAsync(file, CheckpointErrorCode.TrailingBytes);
        Assert.Equal(file.Length - 1, exception.Offset);
        Assert.Contains("1 bytes follow the last tensor", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_FileShorterByOne_SaysHowMuchIsMissing()
    {
        var file = SafetensorsBuilder.Tiny()[..^1];
        var exception = await Opening.InvalidAsync(file, CheckpointErrorCode.FileTruncated);
        Assert.Equal(file.Length, exception.Offset);
        Assert.Contains("ends 1 bytes too early", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_TensorBehindTheEndOfTheFile_Throws()
    {
        var file = SafetensorsBuilder.File($"{{{SafetensorsBuilder.Entry("a", "U8", [1ul << 40], 0, 1ul << 40)}}}");
        var exception = await Opening.InvalidAsync(file, CheckpointErrorCode.FileTruncated);
        Assert.Contains(string.Create(CultureInfo.InvariantCulture, $"{1L << 40}"), exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(AllTypes))]
    public async Task Open_EveryType_HasItsSize(string dtype)
    {
        // Eight elements fill whole bytes for every type.
        var bytes = (int)SafetensorsTypes.Bits[dtype];
        var file = new SafetensorsBuilder().Add("a", dtype, [2, 4], new byte[bytes]).Add("b", "U8", [1], [7]).ToBytes();
        await using var checkpoint = await Opening.AcceptedAsync(file);
        Assert.Equal(dtype, checkpoint["a"].DType.Name);
        Assert.Equal(bytes, checkpoint["a"].ByteLength);
        Assert.Equal(checkpoint["a"].Offset + bytes, checkpoint["b"].Offset);
    }

    public static TheoryData<string> AllTypes() => [.. SafetensorsTypes.InEnumOrder];

    private static Task<InvalidCheckpointException> LayoutInvalidAsync(
        CheckpointErrorCode code, string tensor, int dataLength, params string[] entries) =>
        Opening.InvalidAsync(SafetensorsBuilder.File($"{{{string.Join(',', entries)}}}", new byte[dataLength]), code, tensor);
}
