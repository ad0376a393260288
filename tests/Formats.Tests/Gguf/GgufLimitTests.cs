using System.Text;
using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>
/// Large files that are not to be trusted: whatever they hold, what is allocated stays within their size and 64 MiB, and each
/// limit says how it is raised.
/// </summary>
public sealed class GgufLimitTests
{
    private const int TensorsAtTheLimit = 131_072;
    private const int KeysAtTheLimit = 65_536;

    [Theory]
    [InlineData(99, CheckpointErrorCode.UnknownDType)]
    [InlineData(0, CheckpointErrorCode.FileTruncated)]
    public async Task Open_AsManyTensorsAsAllowedAndABadLastOne_StaysWithinTheBound(int lastType, CheckpointErrorCode code)
    {
        var builder = new GgufBuilder();
        AddTensors(builder, TensorsAtTheLimit - 1);
        builder.TensorRaw(fields => fields.Text("last").U32(1).U64(1000).U32((uint)lastType).U64(0));
        var exception = await RefusedAsync<InvalidCheckpointException>(builder.ToBytes(), code);
        Assert.Equal("last", exception.Tensor);
    }

    [Fact]
    public async Task Open_AsManyKeysAsAllowedAndABadTensor_StaysWithinTheBound()
    {
        var builder = new GgufBuilder();
        AddKeys(builder, KeysAtTheLimit);
        builder.Tensor("bad", 99, [1], new byte[1]);
        await RefusedAsync<InvalidCheckpointException>(builder.ToBytes(), CheckpointErrorCode.UnknownDType);
    }

    [Fact]
    public async Task Open_EverythingAtItsLimit_StaysWithinTheBound()
    {
        var builder = new GgufBuilder();
        AddKeys(builder, KeysAtTheLimit);
        AddTensors(builder, TensorsAtTheLimit);
        var exception = await RefusedAsync<CheckpointLimitException>(builder.ToBytes(), CheckpointErrorCode.LimitExceeded);
        Assert.Equal("GgufLimits.MaximumExpansionBytes", exception.Option);
    }

    [Theory]
    [InlineData(3u, false)]
    [InlineData(3u, true)]
    [InlineData(1u, false)]
    public async Task Open_LongestStringAndABadTensor_StaysWithinTheBound(uint version, bool bigEndian)
    {
        var file = new GgufBuilder(version, bigEndian).Add("k", new string('x', 32 << 20)).Tensor("bad", 99, [1], new byte[1]).ToBytes();
        await RefusedAsync<InvalidCheckpointException>(file, CheckpointErrorCode.UnknownDType);
    }

    [Fact]
    public async Task Open_StringsThatAreLongTogether_NameTheOption()
    {
        var text = new string('x', 20 << 20);
        var file = new GgufBuilder().Add("a", text).Add("b", text).Add("c", text).ToBytes();
        var exception = await RefusedAsync<CheckpointLimitException>(file, CheckpointErrorCode.LimitExceeded);
        Assert.Equal((48m * (1 << 20), "GgufLimits.MaximumExpansionBytes"), (exception.Maximum, exception.Option));
        await using var checkpoint = await Checkpoint.OpenAsync(
            new MemorySource(file), new CheckpointOptions { Gguf = new GgufLimits { MaximumExpansionBytes = 1 << 30 } });
        Assert.All(checkpoint.Metadata.Values, value => Assert.Equal(text, value));
    }

    // Their lengths of 4 bytes become 8: what has no other bytes doubles.
    [Theory]
    [InlineData(1u, false, 8)]
    [InlineData(3u, true, 8)]
    [InlineData(1u, false, 9)]
    [InlineData(3u, true, 9)]
    public async Task Open_LongestArrayThatIsTranslatedAndABadTensor_StaysWithinTheBound(uint version, bool bigEndian, uint type)
    {
        var builder = new GgufBuilder(version, bigEndian).Add("k", 9, fields =>
        {
            fields.U32(type).Length(1 << 23);
            // Strings of no bytes, or arrays of no UINT8.
            fields.Raw(new byte[(1 << 23) * ((version == 1 ? 4 : 8) + (type == 9 ? 4 : 0))]);
        });
        await RefusedAsync<InvalidCheckpointException>(
            builder.Tensor("bad", 99, [1], new byte[1]).ToBytes(), CheckpointErrorCode.UnknownDType);
    }

    [Fact]
    public async Task Open_ArraysThatGrowTogetherBeyondTheLimit_NameTheOption()
    {
        var builder = new GgufBuilder(1);
        foreach (var key in new[] { "a", "b" })
        {
            builder.Add(key, 9, fields => fields.U32(8).Length(1 << 23).Raw(new byte[4 << 23]));
        }

        var exception = await RefusedAsync<CheckpointLimitException>(builder.ToBytes(), CheckpointErrorCode.LimitExceeded);
        Assert.Equal("GgufLimits.MaximumExpansionBytes", exception.Option);
    }

    [Fact]
    public async Task Open_MoreTensorsThanAllowed_NamesTheOption()
    {
        var builder = new GgufBuilder();
        AddTensors(builder, 3);
        await AssertLimitAsync(builder, new GgufLimits { MaximumTensors = 2 }, new GgufLimits { MaximumTensors = 3 }, "MaximumTensors", 3);
        var many = new GgufBuilder { ClaimedTensors = TensorsAtTheLimit + 1 }.AddRaw(fields => fields.Raw(new byte[24 * (TensorsAtTheLimit + 1)]));
        var exception = await RefusedAsync<CheckpointLimitException>(many.ToBytes(), CheckpointErrorCode.LimitExceeded);
        Assert.Equal(TensorsAtTheLimit, exception.Maximum);
    }

    [Fact]
    public async Task Open_MoreKeysThanAllowed_NamesTheOption()
    {
        var builder = new GgufBuilder();
        AddKeys(builder, 3);
        await AssertLimitAsync(builder, new GgufLimits { MaximumKeys = 2 }, new GgufLimits { MaximumKeys = 3 }, "MaximumKeys", 3);
        var many = new GgufBuilder { ClaimedKeys = KeysAtTheLimit + 1 }.AddRaw(fields => fields.Raw(new byte[24 * (KeysAtTheLimit + 1)]));
        var exception = await RefusedAsync<CheckpointLimitException>(many.ToBytes(), CheckpointErrorCode.LimitExceeded);
        Assert.Equal(KeysAtTheLimit, exception.Maximum);
    }

    [Fact]
    public async Task Open_StringOrArrayBeyondTheDefaults_NamesTheOption()
    {
        var text = new GgufBuilder().Add("k", 8, fields => fields.Length((32 << 20) + 1).Raw(new byte[(32 << 20) + 1]));
        await AssertLimitAsync(text, GgufLimits.Default, new GgufLimits { MaximumStringBytes = 1 << 30 }, "MaximumStringBytes", (32 << 20) + 1);
        var array = new GgufBuilder().Add("k", 9, fields => fields.U32(0).Length((8 << 20) + 1).Raw(new byte[(8 << 20) + 1]));
        await AssertLimitAsync(array, GgufLimits.Default, new GgufLimits { MaximumArrayLength = 1 << 30 }, "MaximumArrayLength", (8 << 20) + 1);
    }

    [Fact]
    public async Task Open_KeyBeyondTheHeadersLimit_IsNotRead()
    {
        var file = new GgufBuilder().Add(new string('k', 50_000), 1u).ToBytes();
        var source = new RecordingSource(new MemorySource(file, GgufOpening.Name));
        var exception = await Assert.ThrowsAsync<CheckpointLimitException>(
            () => Checkpoint.OpenAsync(source, new CheckpointOptions { Gguf = new GgufLimits { MaximumHeaderBytes = 1000 } }));
        Assert.Equal(
            (CheckpointErrorCode.HeaderTooLarge, 50_032m, "GgufLimits.MaximumHeaderBytes"), (exception.Code, exception.Actual, exception.Option));
        Assert.InRange(source.FurthestByte, 1, 1000);
    }

    [Fact]
    public async Task Open_HeaderOfManyArraysBeyondTheDefault_NamesTheOption()
    {
        var builder = new GgufBuilder();
        for (var i = 0; i < 17; i++)
        {
            builder.Add($"k{i}", 9, fields => fields.U32(0).Length(8 << 20).Raw(new byte[8 << 20]));
        }

        var exception = await RefusedAsync<CheckpointLimitException>(builder.ToBytes(), CheckpointErrorCode.HeaderTooLarge);
        Assert.Equal((128L << 20, "GgufLimits.MaximumHeaderBytes"), (exception.Maximum, exception.Option));
    }

    [Theory]
    [InlineData(1u, false)]
    [InlineData(3u, true)]
    public async Task Open_CancelledWhileAnArrayIsTranslated_Ends(uint version, bool bigEndian)
    {
        // Of the last read, so that nothing but the translation is behind it.
        var file = new GgufBuilder(version, bigEndian)
            .Add("k", 9, fields => fields.U32(8).Length(1 << 20).Raw(new byte[(version == 1 ? 4 : 8) << 20])).ToBytes();
        var counted = new RecordingSource(new MemorySource(file, GgufOpening.Name));
        await (await Checkpoint.OpenAsync(counted)).DisposeAsync();
        using var cancellation = new CancellationTokenSource();
        var source = new CancellingSource(new MemorySource(file, GgufOpening.Name), cancellation, counted.Reads.Count);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Checkpoint.OpenAsync(source, cancellationToken: cancellation.Token));
        Assert.Equal(1, source.Disposals);
    }

    // Characters of one to four bytes across the borders of pieces, and bytes that are none.
    [Theory]
    [InlineData("é")]
    [InlineData("€")]
    [InlineData("😀")]
    [InlineData("a€😀é")]
    public async Task Open_TextThatIsDecodedInPieces_IsTheSameAsDecodedWhole(string character)
    {
        var text = string.Concat(Enumerable.Repeat(character, (3 << 20) / Encoding.UTF8.GetByteCount(character)));
        foreach (var start in new[] { "", "a", "aa", "aaa" })
        {
            await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(
                new GgufBuilder().Add("k", start + text).Add("behind", 7u).ToBytes()));
            Assert.True(start + text == (string)checkpoint.Metadata["k"]);
            Assert.Equal(7u, checkpoint.Metadata["behind"]);
            Assert.Empty(checkpoint.Warnings);

            var bytes = Encoding.UTF8.GetBytes(start + text);
            (bytes[70_000], bytes[2_000_000], bytes[^1]) = (0xFF, 0x80, 0xE4);
            await using var damaged = await Checkpoint.OpenAsync(new ShortReadSource(
                new MemorySource(new GgufBuilder().Add("k", bytes).Add("behind", 7u).ToBytes()), 99_991));
            Assert.True(Encoding.UTF8.GetString(bytes) == (string)damaged.Metadata["k"]);
            Assert.Equal(7u, damaged.Metadata["behind"]);
            Assert.Single(damaged.Warnings);
        }
    }

    private static void AddTensors(GgufBuilder builder, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var name = $"tensor.{i}";
            builder.TensorRaw(fields => fields.Text(name).U32(1).U64(0).U32(0).U64(0));
        }
    }

    private static void AddKeys(GgufBuilder builder, int count)
    {
        for (var i = 0; i < count; i++)
        {
            builder.Add($"k{i}", (byte)i);
        }
    }

    private static async Task AssertLimitAsync(GgufBuilder builder, GgufLimits tooLow, GgufLimits raised, string option, decimal actual)
    {
        var file = builder.ToBytes();
        var exception = await RefusedAsync<CheckpointLimitException>(
            file, CheckpointErrorCode.LimitExceeded, new CheckpointOptions { Gguf = tooLow });
        Assert.Equal((actual, $"GgufLimits.{option}"), (exception.Actual, exception.Option));
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file), new CheckpointOptions { Gguf = raised });
        Assert.NotEmpty(checkpoint.Files);
    }

    private static async Task<TException> RefusedAsync<TException>(byte[] file, CheckpointErrorCode code, CheckpointOptions? options = null)
        where TException : CheckpointException
    {
        var source = new MemorySource(file, GgufOpening.Name);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var opening = Checkpoint.OpenAsync(source, options);
        // A source in memory is read on this thread, so what is counted is all there was, and more than was held at once.
        Assert.True(opening.IsCompleted);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, file.Length + BoundedOpening.AllocationBound);
        var exception = await Assert.ThrowsAsync<TException>(() => opening);
        Assert.Equal(code, exception.Code);
        Assert.StartsWith(GgufOpening.Name + ": ", exception.Message, StringComparison.Ordinal);
        return exception;
    }
}
