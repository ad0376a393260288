using IlgpuLoader.Formats.Gguf;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>How the reader treats its source, and that no damage to a file ends in anything but an exception of ours.</summary>
public sealed class GgufSourceTests
{
    private static readonly byte[] Small = Everything(3, false);

    // Larger than a first read, and than the piece after it.
    private static readonly byte[] Large = new GgufBuilder()
        .Add("tokens", Enumerable.Range(0, 40_000).Select(i => $"token {i}").ToArray())
        .Add("scores", Enumerable.Range(0, 40_000).Select(i => (float)i).ToArray())
        .Add("name", "behind the arrays")
        .Tensor("a", 0, [256], new byte[1024])
        .ToBytes();

    [Fact]
    public async Task Open_SmallHeader_TakesOneReadBesideTheFirstLook()
    {
        var file = new GgufBuilder().Add("text", new string('x', 10_000)).Tensor("a", 24, [100_000], new byte[100_000]).ToBytes();
        var source = new RecordingSource(new MemorySource(file, GgufOpening.Name));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        Assert.Equal(2, source.Reads.Count);
        Assert.InRange(source.FurthestByte, 1, (64 << 10) + 512);
    }

    [Fact]
    public async Task Open_LargeHeader_ReadsItOnceAndInFewPieces()
    {
        var file = new GgufBuilder().Add("tokens", Enumerable.Range(0, 150_000).Select(i => $"token {i}").ToArray()).ToBytes();
        var source = new RecordingSource(new MemorySource(file, GgufOpening.Name));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        Assert.Equal(file.Length, source.BytesRead);
        Assert.InRange(source.Reads.Count, 2, 10);
    }

    [Fact]
    public async Task Open_ArrayLargerThanTheWindow_IsWhole()
    {
        // Strings of 17 MB: more than is ever held of a header at once, so that they are read again when they are copied.
        var text = new string('x', 1000);
        await using var checkpoint = await GgufOpening.AcceptedAsync(
            new GgufBuilder().Add("strings", Enumerable.Repeat(text, 17_000).ToArray()).Add("behind", 7u).ToBytes());
        var strings = (GgufArray)checkpoint.Metadata["strings"];
        Assert.Equal(17_000, strings.Count);
        Assert.All(strings.Strings(), item => Assert.Equal(text, item));
        Assert.Equal(7u, checkpoint.Metadata["behind"]);
    }

    [Fact]
    public async Task Open_LargeArrays_AreWhole()
    {
        await using var checkpoint = await GgufOpening.AcceptedAsync(Large);
        Assert.Equal(Enumerable.Range(0, 40_000).Select(i => $"token {i}"), ((GgufArray)checkpoint.Metadata["tokens"]).ToArray<string>());
        Assert.Equal(Enumerable.Range(0, 40_000).Select(i => (float)i), ((GgufArray)checkpoint.Metadata["scores"]).ToArray<float>());
        Assert.Equal("behind the arrays", checkpoint.Metadata["name"]);
    }

    [Fact]
    public async Task Open_SourceThatFailsAtAnyByte_PassesTheFailureOnAndClosesIt()
    {
        var header = (int)(await HeaderLengthAsync(Small));
        for (var good = 0; good < header; good += 5)
        {
            var source = ThrowingSource.AfterBytes(new MemorySource(Small, GgufOpening.Name), good);
            var exception = await Assert.ThrowsAsync<IOException>(() => Checkpoint.OpenAsync(source));
            Assert.Equal(ThrowingSource.Message, exception.Message);
            Assert.Equal(1, source.Disposals);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(7)]
    public async Task Open_CancelledAtARead_ReadsNoFurtherAndClosesTheSource(int atRead)
    {
        using var cancellation = new CancellationTokenSource();
        var source = new CancellingSource(new ShortReadSource(new MemorySource(Large, GgufOpening.Name), 40_000), cancellation, atRead);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Checkpoint.OpenAsync(source, cancellationToken: cancellation.Token));
        Assert.Equal(0, source.ReadsAfterwards);
        Assert.Equal(1, source.Disposals);
    }

    [Theory]
    [InlineData(1u, false)]
    [InlineData(2u, false)]
    [InlineData(3u, false)]
    [InlineData(3u, true)]
    public async Task Open_FileCutAtAnyByte_IsInvalid(uint version, bool bigEndian)
    {
        var file = Everything(version, bigEndian);
        // Behind the last tensor there is padding that nobody needs.
        await using var whole = await GgufOpening.AcceptedAsync(file);
        var needed = (int)whole.Tensors.Max(tensor => tensor.Offset + tensor.ByteLength);
        for (var length = 0; length < needed; length++)
        {
            var source = new MemorySource(file.AsMemory(0, length), GgufOpening.Name);
            var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Checkpoint.OpenAsync(source));
            Assert.Contains(
                exception.Code,
                new[] { CheckpointErrorCode.HeaderTooSmall, CheckpointErrorCode.HeaderOutOfFile, CheckpointErrorCode.FileTruncated });
        }
    }

    [Theory]
    [InlineData(1u, false)]
    [InlineData(3u, false)]
    [InlineData(3u, true)]
    public async Task Open_FileWithDamagedBytes_OpensOrIsRefused(uint version, bool bigEndian)
    {
        var good = Everything(version, bigEndian);
        var random = new Random(20260101);
        var refused = 0;
        for (var round = 0; round < 3000; round++)
        {
            var file = good.ToArray();
            for (var change = random.Next(1, 4); change > 0; change--)
            {
                // The extremes, since they are what lengths and counts go wrong with.
                file[random.Next(4, file.Length)] = random.Next(4) switch { 0 => 0xFF, 1 => 0x80, 2 => 0, _ => (byte)random.Next(256) };
            }

            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file, GgufOpening.Name));
                foreach (var tensor in checkpoint.Tensors)
                {
                    _ = await GgufOpening.BytesAsync(tensor);
                }

                foreach (var array in checkpoint.Metadata.Values.OfType<GgufArray>())
                {
                    Assert.All(array, Assert.NotNull);
                }
            }
            catch (CheckpointException exception)
            {
                refused++;
                Assert.StartsWith(GgufOpening.Name + ": ", exception.Message, StringComparison.Ordinal);
            }

            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, file.Length + BoundedOpening.AllocationBound);
        }

        Assert.InRange(refused, 300, 2999);
    }

    // Every type of value, arrays of them, and tensors of several.
    private static byte[] Everything(uint version, bool bigEndian) => new GgufBuilder(version, bigEndian)
        .Add("u8", (byte)200).Add("i8", (sbyte)-100).Add("u16", (ushort)60000).Add("i16", (short)-30000).Add("u32", 4000000000u)
        .Add("i32", -2000000000).Add("f32", 0.15625f).Add("bool", true).Add("text", "héllo").Add("u64", ulong.MaxValue)
        .Add("i64", long.MinValue).Add("f64", 1 / 3.0).Add("a.i16", new short[] { 1, -2, 3 }).Add("a.text", new[] { "a", "", "ß" })
        .Add("a.a", new object[] { new[] { 1, 2 }, new[] { "x" }, Array.Empty<double>() }).Add("general.alignment", 32u)
        .Tensor("plain", 0, [3, 2], new byte[24]).Tensor("blocks", 2, [64], new byte[36]).Tensor("bytes", 24, [5], new byte[5]).ToBytes();

    private static async Task<long> HeaderLengthAsync(byte[] file)
    {
        await using var checkpoint = await Checkpoint.OpenAsync(new MemorySource(file, GgufOpening.Name));
        return ((GgufHeader)checkpoint.Files[0].Header!).DataOffset - 32;
    }
}
