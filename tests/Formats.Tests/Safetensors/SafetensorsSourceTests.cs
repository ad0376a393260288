using System.Buffers.Binary;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>How the reader treats its source: what it reads, and what happens when reading ends in the middle.</summary>
public sealed class SafetensorsSourceTests
{
    private static readonly byte[] File = new SafetensorsBuilder()
        .Add("a", "F32", [256], Enumerable.Range(0, 1024).Select(i => (byte)i).ToArray())
        .Add("b", "F32", [256], new byte[1024])
        .ToBytes();

    private static readonly int HeaderEnd = 8 + (int)BinaryPrimitives.ReadUInt64LittleEndian(File);

    [Fact]
    public async Task Open_LargeFile_ReadsNoTensorBeyondTheFirstLook()
    {
        var source = new RecordingSource(new MemorySource(File, Opening.Name));
        await using var checkpoint = await Checkpoint.OpenAsync(source);
        Assert.Equal(2, checkpoint.Tensors.Length);
        // 512 bytes are looked at to tell the format, whatever the header's length.
        Assert.Equal(Math.Max(512, HeaderEnd), source.FurthestByte);
        Assert.Equal(0, source.Disposals);
    }

    [Fact]
    public async Task Open_SourceThatFailsAtAnyByte_PassesTheFailureOnAndClosesIt()
    {
        for (var good = 0; good < HeaderEnd; good++)
        {
            var source = ThrowingSource.AfterBytes(new MemorySource(File, Opening.Name), good);
            var exception = await Assert.ThrowsAsync<IOException>(() => Checkpoint.OpenAsync(source));
            Assert.Equal(ThrowingSource.Message, exception.Message);
            Assert.Equal(1, source.Disposals);
        }
    }

    [Fact]
    public async Task Open_SourceThatFailsButStaysTheCallers_IsLeftOpen()
    {
        var source = ThrowingSource.AfterReads(new MemorySource(File, Opening.Name), 1);
        await Assert.ThrowsAsync<IOException>(() => Checkpoint.OpenAsync(source, leaveOpen: true));
        Assert.Equal(0, source.Disposals);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(100)]
    public async Task Open_CancelledAtARead_ReadsNoFurtherAndClosesTheSource(int atRead)
    {
        using var cancellation = new CancellationTokenSource();
        var source = new CancellingSource(new ShortReadSource(new MemorySource(File, Opening.Name), 3), cancellation, atRead);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Checkpoint.OpenAsync(source, cancellationToken: cancellation.Token));
        Assert.Equal(0, source.ReadsAfterwards);
        Assert.Equal(1, source.Disposals);
    }

    [Fact]
    public async Task Open_SourceThatEndsBeforeItsLength_SaysThatItWasCut()
    {
        var source = new LongerThanItIsSource(new MemorySource(File.AsMemory(0, 600), Opening.Name), File.Length);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(async () =>
        {
            await using var checkpoint = await Checkpoint.OpenAsync(source, leaveOpen: true);
            await source.ReadExactlyAsync(checkpoint["b"].Offset, new byte[8]);
        });
        Assert.Equal(CheckpointErrorCode.FileTruncated, exception.Code);
        Assert.Contains(Opening.Name, exception.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false, 1)]
    [InlineData(true, 0)]
    public async Task Dispose_Checkpoint_ClosesTheSourceUnlessItStaysTheCallers(bool leaveOpen, int disposals)
    {
        var source = new RecordingSource(new MemorySource(File, Opening.Name));
        var checkpoint = await Checkpoint.OpenAsync(source, leaveOpen: leaveOpen);
        await checkpoint.DisposeAsync();
        Assert.Equal(disposals, source.Disposals);
    }

    private sealed class LongerThanItIsSource(IByteSource inner, long length) : IByteSource
    {
        public string Name => inner.Name;

        public long Length => length;

        public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) =>
            inner.ReadAsync(offset, destination, cancellationToken);

        public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
