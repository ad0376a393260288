using System.Text;
using IlgpuLoader.Formats.Safetensors;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Headers that are not what they must be: formats.md section 5, S1 to S4, S6, S7 and S13.</summary>
public sealed class SafetensorsHeaderTests
{
    private static readonly byte[] FourBytes = new byte[4];

    [Fact]
    public async Task Open_EmptyFile_SaysSo()
    {
        var exception = await Opening.InvalidAsync([], CheckpointErrorCode.HeaderTooSmall);
        Assert.Contains("0 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Equal(0, exception.Offset);
        Assert.Equal("safetensors", exception.Format);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(7)]
    public async Task Open_FileShorterThanTheLengthField_SaysHowShort(int length)
    {
        var exception = await Opening.InvalidAsync(Enumerable.Repeat((byte)1, length).ToArray(), CheckpointErrorCode.HeaderTooSmall);
        Assert.Contains($"{length} bytes", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(100_000_001)]
    [InlineData((ulong)1 << 63)]
    [InlineData(ulong.MaxValue)]
    [InlineData(ulong.MaxValue - 7)]
    public async Task Open_HeaderLengthAboveTheLimit_NamesLimitAndOption(ulong length)
    {
        var exception = await Opening.RefusedAsync<CheckpointLimitException>(
            SafetensorsBuilder.File(length, "{}"u8), CheckpointErrorCode.HeaderTooLarge);
        Assert.Equal(length, exception.Actual);
        Assert.Equal(100_000_000, exception.Maximum);
        Assert.Equal("SafetensorsLimits.MaximumHeaderBytes", exception.Option);
        Assert.Contains($"{length}", exception.Message, StringComparison.Ordinal);
        Assert.Contains("SafetensorsLimits.MaximumHeaderBytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_HeaderAboveARaisedLimit_ComparesWithThatLimit()
    {
        var options = new CheckpointOptions { Safetensors = new SafetensorsLimits { MaximumHeaderBytes = 16 } };
        var sixteen = SafetensorsBuilder.File("{}" + new string(' ', 14));
        var seventeen = SafetensorsBuilder.File("{}" + new string(' ', 15));
        await using var checkpoint = await Opening.AcceptedAsync(sixteen, options);
        var exception = await Opening.RefusedAsync<CheckpointLimitException>(seventeen, CheckpointErrorCode.HeaderTooLarge, options);
        Assert.Equal(16, exception.Maximum);
        Assert.Equal(17, exception.Actual);
    }

    [Fact]
    public async Task Open_HeaderLongerThanFileByOne_SaysBothLengths()
    {
        var exception = await Opening.InvalidAsync(SafetensorsBuilder.File(3, "{}"u8), CheckpointErrorCode.HeaderOutOfFile);
        Assert.Contains("3 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Contains("2 bytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_HeaderOfTheWholeLimitInASmallFile_IsRefusedBeforeAnythingIsAllocated()
    {
        var file = SafetensorsBuilder.File(100_000_000, "{}"u8);
        var before = GC.GetAllocatedBytesForCurrentThread();
        // Completes on this thread, since the memory source has every byte at hand.
        await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(new MemorySource(file, Opening.Name)));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1_000_000);
    }

    [Fact]
    public async Task Open_HeaderThatIsNotUtf8_PointsAtTheByte()
    {
        byte[] header = [.. "{\"a"u8, 0xFF, .. "\":1}"u8];
        var exception = await Opening.InvalidAsync(SafetensorsBuilder.File(header), CheckpointErrorCode.HeaderNotUtf8);
        Assert.Equal(8 + 3, exception.Offset);
    }

    [Theory]
    [InlineData("")]
    [InlineData("   ")]
    [InlineData("[]")]
    [InlineData("1")]
    [InlineData("null")]
    [InlineData("\"a\"")]
    [InlineData("{")]
    [InlineData("{}}")]
    [InlineData("{}{}")]
    [InlineData("{}\0\0\0\0\0\0")]
    [InlineData("\0\0{}")]
    [InlineData("{},")]
    [InlineData("{/* */}")]
    [InlineData("{'a':1}")]
    [InlineData("\ufeff{}")]
    public async Task Open_HeaderThatIsNoSingleJsonObject_Throws(string header)
    {
        // The data keeps the case apart from a file that ends in zeros.
        await Opening.InvalidAsync(SafetensorsBuilder.File(header, "data"u8), CheckpointErrorCode.HeaderNotJson);
    }

    [Fact]
    public async Task Open_HeaderPaddedWithNulInAFileOfZeros_IsNotTakenForAnInterruptedDownload()
    {
        var header = $"{{{SafetensorsBuilder.Entry("a", "F32", [1], 0, 4)}}}\0\0\0";
        await Opening.InvalidAsync(SafetensorsBuilder.File(header, FourBytes), CheckpointErrorCode.HeaderNotJson);
    }

    [Fact]
    public async Task Open_HeaderThatTurnsIntoZeros_IsTakenForAnInterruptedDownload()
    {
        var whole = new SafetensorsBuilder().Add("first", "F32", [64], new byte[256]).Add("second", "F32", [64], new byte[256]).ToBytes();
        whole.AsSpan(60).Clear();
        var exception = await Opening.InvalidAsync(whole, CheckpointErrorCode.ZeroFilled);
        Assert.Equal(60, exception.Offset);
        Assert.Contains("interrupted download", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_HeaderWithWhiteSpaceAround_IsAccepted()
    {
        await using var checkpoint = await Opening.AcceptedAsync(SafetensorsBuilder.File(" \t\r\n{ }\n\r\t "));
        Assert.Empty(checkpoint.Tensors);
    }

    [Theory]
    [InlineData("""{"dtype":"F16x","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.UnknownDType)]
    [InlineData("""{"dtype":"f16","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.UnknownDType)]
    [InlineData("""{"dtype":"","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.UnknownDType)]
    [InlineData("""{"dtype":"Q4_K","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.UnknownDType)]
    [InlineData("""{"dtype":"C128","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.UnknownDType)]
    [InlineData("""{"dtype":"\ud800","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderNotJson)]
    [InlineData("""{"dtype":null,"shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":17,"shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":[0,4],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":1,"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":null,"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[18446744073709551616],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":["1"],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":[0]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":[-1,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":[0,1.5]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":[0,4e0]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1e3],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":["0",4]}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[1],"data_offsets":{"0":4}}""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""["F32",[1]]""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""["F32",[1],[0,4],0]""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""[]""", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("null", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("true", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("\"F32\"", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("4", CheckpointErrorCode.HeaderFieldInvalid)]
    [InlineData("""{"dtype":"F32","shape":[01],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderNotJson)]
    [InlineData("""{"dtype":"F32","\ud800":0,"shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderNotJson)]
    [InlineData("""{"dtype":"F32","dtyp\ud800":0,"shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderNotJson)]
    [InlineData("""{"dtype":"F32","x":"\udc00","shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderNotJson)]
    [InlineData("""{"dtype":"F32","x":[{"\ud800":1}],"shape":[1],"data_offsets":[0,4]}""", CheckpointErrorCode.HeaderNotJson)]
    public async Task Open_EntryThatIsNotWhatItMustBe_NamesTheTensor(string entry, CheckpointErrorCode code)
    {
        var exception = await Opening.InvalidAsync(SafetensorsBuilder.File($"{{\"layer.weight\":{entry}}}", FourBytes), code, "layer.weight");
        Assert.NotNull(exception.Offset);
    }

    [Fact]
    public async Task Open_EntryWithEscapedFieldNamesAndType_IsAccepted()
    {
        const string entry = """{"a":{"\u0064type":"\u004632","sh\u0061pe":[1],"data_offset\u0073":[0,4]}}""";
        await using var checkpoint = await Opening.AcceptedAsync(SafetensorsBuilder.File(entry, FourBytes));
        Assert.Equal(DType.F32, checkpoint["a"].DType);
    }

    [Fact]
    public async Task Open_UnknownTypeInLowerCase_SaysThatNamesAreUpperCase()
    {
        var file = SafetensorsBuilder.File($"{{{SafetensorsBuilder.Entry("a", "bf16", [2], 0, 4)}}}", FourBytes);
        var exception = await Opening.InvalidAsync(file, CheckpointErrorCode.UnknownDType, "a");
        Assert.Contains("'bf16'", exception.Message, StringComparison.Ordinal);
        Assert.Contains("BF16", exception.Message, StringComparison.Ordinal);
        Assert.Contains("upper case", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"a":1}""")]
    [InlineData("""{"a":null}""")]
    [InlineData("""{"a":{}}""")]
    [InlineData("""{"a":["b"]}""")]
    [InlineData("[]")]
    [InlineData("\"a\"")]
    [InlineData("1")]
    [InlineData("""{"a":"1","a":"1"}""")]
    [InlineData("""{"a\u0000":"1"}""")]
    [InlineData("""{"a":"\u0000"}""")]
    public async Task Open_MetadataThatIsNoMapOfStrings_Throws(string metadata)
    {
        await Opening.InvalidAsync(SafetensorsBuilder.File($"{{\"__metadata__\":{metadata}}}"), CheckpointErrorCode.MetadataInvalid);
    }

    [Theory]
    [InlineData("""{"__metadata__":{"a":"1"},"__metadata__":{"b":"2"}}""")]
    [InlineData("""{"__metadata__":null,"__metadata__":{"b":"2"}}""")]
    [InlineData("""{"__metadata__":{},"\u005f_metadata__":{}}""")]
    public async Task Open_MetadataGivenTwice_Throws(string header)
    {
        await Opening.InvalidAsync(SafetensorsBuilder.File(header), CheckpointErrorCode.MetadataInvalid);
    }

    [Fact]
    public async Task Open_MetadataWithHalfASurrogatePair_Throws()
    {
        await Opening.InvalidAsync(
            SafetensorsBuilder.File("""{"__metadata__":{"a":"\ud800"}}"""), CheckpointErrorCode.HeaderNotJson);
    }

    [Fact]
    public async Task Open_MetadataNull_MeansNone()
    {
        await using var checkpoint = await Opening.AcceptedAsync(SafetensorsBuilder.File("""{"__metadata__":null}"""));
        Assert.Empty(checkpoint.Metadata);
        Assert.Empty(checkpoint.Tensors);
    }

    [Fact]
    public async Task Open_NulInATensorName_ThrowsUnlessItIsAllowed()
    {
        var file = SafetensorsBuilder.File("""{"a\u0000b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}""", FourBytes);
        var exception = await Opening.InvalidAsync(file, CheckpointErrorCode.TensorNameInvalid, "a\0b");
        Assert.DoesNotContain('\0', exception.Message);

        var options = new CheckpointOptions { Safetensors = new SafetensorsLimits { RefuseNul = false } };
        await using var checkpoint = await Opening.AcceptedAsync(file, options);
        Assert.Equal(4, checkpoint["a\0b"].ByteLength);
    }

    [Fact]
    public async Task Open_NulInTheMetadata_IsKeptWhereItIsAllowed()
    {
        var options = new CheckpointOptions { Safetensors = new SafetensorsLimits { RefuseNul = false } };
        await using var checkpoint = await Opening.AcceptedAsync(SafetensorsBuilder.File("""{"__metadata__":{"a":"x\u0000"}}"""), options);
        Assert.Equal("x\0", checkpoint.Metadata["a"]);
    }

    [Fact]
    public async Task Open_HostileName_CannotWriteToTheTerminal()
    {
        var file = SafetensorsBuilder.File("""{"\u001b[2J\u202edetsurt":{"dtype":"U8"}}""");
        var exception = await Opening.InvalidAsync(file, CheckpointErrorCode.HeaderFieldInvalid, "\u001b[2J\u202edetsurt");
        Assert.DoesNotContain('\u001b', exception.Message);
        Assert.DoesNotContain('\u202e', exception.Message);
    }

    [Fact]
    public void Limits_OutOfRange_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new SafetensorsLimits { MaximumHeaderBytes = 1 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new SafetensorsLimits { MaximumHeaderBytes = (long)int.MaxValue + 1 });
    }

    [Fact]
    public async Task Open_TwoByteEncodingOfAnAsciiCharacter_IsNoUtf8()
    {
        byte[] header = [.. Encoding.UTF8.GetBytes("{\""), 0xC1, 0xA1, .. Encoding.UTF8.GetBytes("\":1}")];
        await Opening.InvalidAsync(SafetensorsBuilder.File(header), CheckpointErrorCode.HeaderNotUtf8);
    }
}
