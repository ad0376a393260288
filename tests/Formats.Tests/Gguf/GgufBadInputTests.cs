using System.Buffers.Binary;
using System.Text;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The bad inputs G1 to G4 of formats.md section 5: what comes before the tensors.</summary>
public sealed class GgufBadInputTests
{
    private static readonly byte[] Tiny = GgufBuilder.Tiny().ToBytes();

    [Fact]
    public async Task Open_EmptyFile_IsTooSmall() => await GgufOpening.InvalidAsync([], CheckpointErrorCode.HeaderTooSmall);

    [Theory]
    [InlineData("GGML")]
    [InlineData("gguf")]
    public async Task Open_OtherMagic_SaysWithWhatItBegins(string magic)
    {
        var file = Tiny.ToArray();
        Encoding.ASCII.GetBytes(magic, file);
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.UnknownFormat);
        Assert.Contains(magic, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("FUGG", "draft of GGUF")]
    [InlineData("lmgg", "'ggml'")]
    [InlineData("fmgg", "'ggmf'")]
    [InlineData("tjgg", "'ggjt'")]
    [InlineData("algg", "'ggla'")]
    public async Task Open_FileOlderThanGguf_SaysWhatItIs(string magic, string said)
    {
        var file = Tiny.ToArray();
        Encoding.ASCII.GetBytes(magic, file);
        var exception = await GgufOpening.RefusedAsync<UnsupportedCheckpointException>(file, CheckpointErrorCode.Unsupported);
        Assert.Contains(said, exception.Message, StringComparison.Ordinal);
        Assert.Contains("llama.cpp", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0u, "version is 0")]
    [InlineData(4u, "version is 4")]
    [InlineData(0x10003u, "version is 65539, ")]
    [InlineData(0x30000u, "version is 768 (big-endian; 196608 if it is not), ")]
    [InlineData(0x04000000u, "version is 4")]
    [InlineData(0x01000000u, "big-endian and of version 1")]
    [InlineData(0x02000000u, "big-endian and of version 2")]
    public async Task Open_UnknownVersion_IsInvalid(uint version, string said)
    {
        var file = Tiny.ToArray();
        BinaryPrimitives.WriteUInt32LittleEndian(file.AsSpan(4), version);
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.UnknownVersion);
        Assert.Contains(said, exception.Message, StringComparison.Ordinal);
        Assert.Equal(4, exception.Offset);
    }

    // A little-endian file that says it is big-endian has counts of astronomical size.
    [Fact]
    public async Task Open_LittleEndianFileWithTheVersionTurnedRound_IsInvalid()
    {
        var file = Tiny.ToArray();
        BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(4), 3);
        await GgufOpening.InvalidAsync(file, CheckpointErrorCode.HeaderOutOfFile);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1ul << 31)]
    [InlineData((1ul << 63) - 1)]
    [InlineData(1ul)]
    public async Task Open_MoreEntriesThanFit_AreNotBelieved(ulong count)
    {
        var tensors = new GgufBuilder { ClaimedTensors = count };
        var exception = await GgufOpening.InvalidAsync(tensors.ToBytes(), CheckpointErrorCode.HeaderOutOfFile);
        Assert.Contains($"{count} tensors", exception.Message, StringComparison.Ordinal);
        var keys = new GgufBuilder { ClaimedKeys = count };
        exception = await GgufOpening.InvalidAsync(keys.ToBytes(), CheckpointErrorCode.HeaderOutOfFile);
        Assert.Contains($"{count} metadata entries", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_MoreEntriesThanThere_EndsWhereTheFileDoes()
    {
        var file = new GgufBuilder { ClaimedKeys = 2 }.Add("key", new string('x', 100)).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.HeaderOutOfFile);
        Assert.Equal(file.Length, exception.Offset);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1000ul)]
    public async Task Open_KeyLongerThanTheFile_IsInvalid(ulong length)
    {
        var file = new GgufBuilder().AddRaw(fields => fields.Length(length).Raw("key-and-a-little-more"u8)).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.HeaderOutOfFile);
        Assert.Contains($"{length} bytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_EmptyKey_IsInvalid() =>
        await GgufOpening.InvalidAsync(new GgufBuilder().Add("", 1u).ToBytes(), CheckpointErrorCode.MetadataInvalid);

    [Fact]
    public async Task Open_KeyTwice_IsInvalid()
    {
        var exception = await GgufOpening.InvalidAsync(
            new GgufBuilder().Add("k", 1u).Add("other", "x").Add("k", 1u).ToBytes(), CheckpointErrorCode.MetadataInvalid);
        Assert.Contains("'k' twice", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_KeyThatIsNotUtf8_IsInvalid() => await GgufOpening.InvalidAsync(
        new GgufBuilder().AddRaw(fields => fields.Text([0x61, 0xFF]).U32(4).U32(1)).ToBytes(), CheckpointErrorCode.HeaderNotUtf8);

    [Fact]
    public async Task Open_KeyLongerThanTheLimit_NamesTheOption()
    {
        var file = new GgufBuilder().Add(new string('k', 65_536), 1u).ToBytes();
        var exception = await GgufOpening.RefusedAsync<CheckpointLimitException>(file, CheckpointErrorCode.LimitExceeded);
        Assert.Equal("GgufLimits.MaximumKeyBytes", exception.Option);
        var options = new CheckpointOptions { Gguf = new GgufLimits { MaximumKeyBytes = 65_536 } };
        await using var checkpoint = await GgufOpening.AcceptedAsync(file, options);
        Assert.Single(checkpoint.Metadata);
    }

    [Fact]
    public async Task Open_StringLongerThanTheFile_IsInvalid() => await GgufOpening.InvalidAsync(
        new GgufBuilder().Add("k", 8, fields => fields.Length(ulong.MaxValue - 3).Raw("text"u8)).ToBytes(), CheckpointErrorCode.HeaderOutOfFile);

    [Fact]
    public async Task Open_StringLongerThanTheLimit_NamesTheOption()
    {
        var options = new CheckpointOptions { Gguf = new GgufLimits { MaximumStringBytes = 4 } };
        foreach (var value in new object[] { "fives", new[] { "four", "fives" } })
        {
            var exception = await GgufOpening.RefusedAsync<CheckpointLimitException>(
                new GgufBuilder().Add("k", value).ToBytes(), CheckpointErrorCode.LimitExceeded, options);
            Assert.Equal((5m, "GgufLimits.MaximumStringBytes"), (exception.Actual, exception.Option));
        }
    }

    [Theory]
    [InlineData(13u)]
    [InlineData(uint.MaxValue)]
    public async Task Open_UnknownValueType_IsInvalid(uint type)
    {
        var exception = await GgufOpening.InvalidAsync(
            new GgufBuilder().Add("k", type, fields => fields.U64(0)).ToBytes(), CheckpointErrorCode.MetadataInvalid);
        Assert.Contains($"type {(int)type}", exception.Message, StringComparison.Ordinal);
        await GgufOpening.InvalidAsync(
            new GgufBuilder().Add("k", 9, fields => fields.U32(type).Length(1).U64(0)).ToBytes(), CheckpointErrorCode.MetadataInvalid);
    }

    [Theory]
    [InlineData(64, true)]
    [InlineData(65, false)]
    [InlineData(256, false)]
    public async Task Open_ArraysInArrays_AreAllowedToTheLimit(int depth, bool accepted)
    {
        var file = new GgufBuilder().Add("k", 9, fields =>
        {
            for (var level = 1; level < depth; level++)
            {
                fields.U32(9).Length(1);
            }

            fields.U32(0).Length(1).Raw([42]);
        }).ToBytes();
        if (accepted)
        {
            await using var checkpoint = await GgufOpening.AcceptedAsync(file);
            var array = (GgufArray)checkpoint.Metadata["k"];
            while (array.ElementType == GgufValueType.ARRAY)
            {
                array = array.GetArray(0);
            }

            Assert.Equal([42], array.ToArray<byte>());
        }
        else
        {
            var exception = await GgufOpening.RefusedAsync<CheckpointLimitException>(file, CheckpointErrorCode.LimitExceeded);
            Assert.Equal("GgufLimits.MaximumArrayDepth", exception.Option);
        }
    }

    [Theory]
    [InlineData(0u, 1ul << 63)]
    [InlineData(12u, 5_000_000ul)]
    [InlineData(8u, 5_000_000ul)]
    [InlineData(9u, ulong.MaxValue)]
    [InlineData(8u, 7ul)]
    [InlineData(12u, 7ul)]
    [InlineData(0u, 49ul)]
    public async Task Open_ArrayThatDoesNotFit_IsInvalid(uint type, ulong count)
    {
        var file = new GgufBuilder().Add("k", 9, fields => fields.U32(type).Length(count).Raw(new byte[48])).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.HeaderOutOfFile);
        Assert.Contains($"{count} elements", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Open_StringOfAnArrayBeyondTheFile_IsInvalid()
    {
        var file = new GgufBuilder().Add("k", 9, fields => fields.U32(8).Length(2).Text("good").Length(1ul << 62).Raw("more"u8)).ToBytes();
        var exception = await GgufOpening.InvalidAsync(file, CheckpointErrorCode.HeaderOutOfFile);
        Assert.Equal(file.Length - 12, exception.Offset);
    }

    [Fact]
    public async Task Open_ArrayLongerThanTheLimit_NamesTheOption()
    {
        var options = new CheckpointOptions { Gguf = new GgufLimits { MaximumArrayLength = 3 } };
        var exception = await GgufOpening.RefusedAsync<CheckpointLimitException>(
            new GgufBuilder().Add("k", new[] { 1, 2, 3, 4 }).ToBytes(), CheckpointErrorCode.LimitExceeded, options);
        Assert.Equal("GgufLimits.MaximumArrayLength", exception.Option);
    }

    [Fact]
    public async Task Open_HeaderLargerThanTheLimit_NamesTheOption()
    {
        var options = new CheckpointOptions { Gguf = new GgufLimits { MaximumHeaderBytes = 100 } };
        var exception = await GgufOpening.RefusedAsync<CheckpointLimitException>(
            new GgufBuilder().Add("k", new byte[][] { new byte[50], new byte[50] }).ToBytes(), CheckpointErrorCode.HeaderTooLarge, options);
        Assert.Equal("GgufLimits.MaximumHeaderBytes", exception.Option);
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(13u)]
    [InlineData(48u)]
    [InlineData(uint.MaxValue)]
    [InlineData("32")]
    [InlineData(32ul)]
    [InlineData(32)]
    public async Task Open_AlignmentThatIsNoPowerOfTwoAsUint32_IsInvalid(object alignment)
    {
        var exception = await GgufOpening.InvalidAsync(
            new GgufBuilder().Add("general.alignment", alignment).Tensor("a", 0, [1], new byte[4]).ToBytes(), CheckpointErrorCode.MetadataInvalid);
        Assert.Contains($"'{alignment}'", exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1u << 31)]
    [InlineData(1u << 21)]
    public async Task Open_AlignmentBeyondTheLimit_NamesTheOption(uint alignment)
    {
        var exception = await GgufOpening.RefusedAsync<CheckpointLimitException>(
            new GgufBuilder().Add("general.alignment", alignment).ToBytes(), CheckpointErrorCode.LimitExceeded);
        Assert.Equal("GgufLimits.MaximumAlignment", exception.Option);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(1 << 20)]
    public async Task Open_AnyOtherPowerOfTwo_IsAnAlignment(int alignment)
    {
        var file = new GgufBuilder { Alignment = alignment }
            .Add("general.alignment", (uint)alignment)
            .Tensor("a", 24, [3], [1, 2, 3])
            .Tensor("b", 24, [2], [4, 5])
            .ToBytes();
        await using var checkpoint = await GgufOpening.AcceptedAsync(file);
        Assert.Equal([4, 5], await GgufOpening.BytesAsync(checkpoint["b"]));
    }
}
