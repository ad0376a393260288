using System.IO.Compression;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class StreamSourceTests
{
    [Fact]
    public async Task ReadAsync_FromManyTasks_TakesTurns()
    {
        var bytes = new byte[64 * 1024];
        new Random(1).NextBytes(bytes);
        var stream = new TurnStream(bytes);
        await using var source = new StreamSource(stream);
        await Parallel.ForEachAsync(Enumerable.Range(0, 256), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, token) =>
        {
            var destination = new byte[256];
            await source.ReadExactlyAsync(i * 256, destination, token);
            Assert.Equal(bytes[(i * 256)..((i + 1) * 256)], destination);
        });
        Assert.Equal(1, stream.MostAtOnce);
        Assert.True(stream.Reads > 256, "The stream gave no short reads.");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task DisposeAsync_ClosesTheStream_UnlessItIsLeftOpen(bool leaveOpen)
    {
        await using var stream = new MemoryStream(new byte[4]);
        var source = new StreamSource(stream, leaveOpen: leaveOpen);
        await source.DisposeAsync();
        await source.DisposeAsync();
        Assert.Equal(leaveOpen, stream.CanRead);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await source.ReadAsync(0, new byte[1]));
    }

    [Fact]
    public async Task Constructor_StreamThatCannotSeek_IsRefusedAndLeftOpen()
    {
        await using var inner = new MemoryStream();
        await using var stream = new GZipStream(inner, CompressionMode.Decompress);
        Assert.Throws<ArgumentException>("stream", () => new StreamSource(stream));
        Assert.True(inner.CanRead);
    }

    [Fact]
    public async Task Constructor_StreamThatCannotRead_IsRefused()
    {
        await using var stream = new MemoryStream();
        await stream.DisposeAsync();
        Assert.Throws<ArgumentException>("stream", () => new StreamSource(stream));
    }

    [Fact]
    public async Task ReadAsync_CountsFromTheStartOfTheStream_WhereverItStood()
    {
        await using var stream = new MemoryStream([1, 2, 3, 4]) { Position = 3 };
        await using var source = new StreamSource(stream, "named");
        var destination = new byte[4];
        Assert.Equal(4, await source.ReadAsync(0, destination));
        Assert.Equal([1, 2, 3, 4], destination);
        Assert.Equal(0, await source.ReadAsync(4, destination));
        Assert.Equal(0, await source.ReadAsync(1000, destination));
        Assert.Equal(4, source.Length);
        Assert.Equal("named", source.Name);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>("offset", async () => await source.ReadAsync(-1, destination));
    }

    [Fact]
    public async Task ReadAsync_AfterAFailedOrCancelledRead_StillHasItsTurn()
    {
        await using var stream = new TurnStream([1, 2, 3, 4]) { Failure = new IOException("broken") };
        await using var source = new StreamSource(stream);
        await Assert.ThrowsAsync<IOException>(async () => await source.ReadAsync(0, new byte[4]));
        stream.Failure = null;
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await source.ReadAsync(0, new byte[4], new CancellationToken(canceled: true)));
        var destination = new byte[4];
        await source.ReadExactlyAsync(0, destination);
        Assert.Equal([1, 2, 3, 4], destination);
    }

    [Fact]
    public async Task EnsureUnchangedAsync_OfAStreamThatGrew_SaysSo()
    {
        await using var stream = new MemoryStream();
        stream.Write([1, 2, 3]);
        await using var source = new StreamSource(stream, "s");
        await source.EnsureUnchangedAsync();
        stream.Write([4]);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await source.EnsureUnchangedAsync());
        Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
        Assert.StartsWith("s: the stream had 3 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Contains("has 4 now", exception.Message, StringComparison.Ordinal);
    }

    /// <summary>Counts the readers inside, yields in the middle of a read, and gives half of what is asked for.</summary>
    private sealed class TurnStream(byte[] bytes) : MemoryStream(bytes)
    {
        private int _inside;

        public int MostAtOnce { get; private set; }

        public int Reads { get; private set; }

        public IOException? Failure { get; set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            MostAtOnce = Math.Max(MostAtOnce, Interlocked.Increment(ref _inside));
            Reads++;
            try
            {
                await Task.Yield();
                return Failure is null ? Read(buffer.Span[..((buffer.Length + 1) / 2)]) : throw Failure;
            }
            finally
            {
                Interlocked.Decrement(ref _inside);
            }
        }
    }
}
