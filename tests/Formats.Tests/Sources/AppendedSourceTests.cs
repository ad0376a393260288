using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>A file and sections behind it, whatever is read, against their bytes one after another.</summary>
public sealed class AppendedSourceTests
{
    // The sizes of the file and the sections, empty ones among them.
    private static readonly int[] Sizes = [11, 0, 5, 1, 0, 0, 7, 20, 0];

    private static byte[] PartBytes(int part) => [.. Enumerable.Range(0, Sizes[part]).Select(i => (byte)((part * 50) + i + 1))];

    private static readonly byte[] Whole = [.. Enumerable.Range(0, Sizes.Length).SelectMany(PartBytes)];

    private static IByteSource Over(Func<int, IByteSource, IByteSource> wrap)
    {
        IByteSource[] parts = [.. Enumerable.Range(0, Sizes.Length).Select(i => wrap(i, new MemorySource(PartBytes(i), $"part {i}")))];
        return AppendedSource.Over(parts[0], parts[1..]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_EveryBeginningAndLength_IsAPieceOfTheWhole(bool synchronous)
    {
        await using var source = Over((_, part) => synchronous ? part : new ShortReadSource(part, 3));
        Assert.Equal(synchronous, source is ISynchronousByteSource);
        Assert.Equal(("part 0", (long)Whole.Length), (source.Name, source.Length));
        for (var offset = 0; offset <= Whole.Length; offset++)
        {
            for (var length = 0; length <= Whole.Length - offset; length++)
            {
                var bytes = new byte[length];
                await source.ReadExactlyAsync(offset, bytes);
                Assert.Equal(Whole[offset..(offset + length)], bytes);
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_BehindTheEnd_IsEmpty(bool synchronous)
    {
        await using var source = Over((_, part) => synchronous ? part : new ShortReadSource(part));
        foreach (var offset in new long[] { Whole.Length, Whole.Length + 1, long.MaxValue })
        {
            Assert.Equal(0, await source.ReadAsync(offset, new byte[4]));
        }

        var cut = await Assert.ThrowsAsync<InvalidCheckpointException>(
            async () => await source.ReadExactlyAsync(Whole.Length - 2, new byte[3]));
        Assert.Equal(CheckpointErrorCode.FileTruncated, cut.Code);
    }

    [Fact]
    public async Task Read_NegativeOffset_Throws()
    {
        await using var source = Over((_, part) => part);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await source.ReadAsync(-1, new byte[1]));
    }

    [Fact]
    public async Task Read_OnePartNotSynchronous_IsNotSynchronous()
    {
        await using var source = Over((i, part) => i == 7 ? new ShortReadSource(part) : part);
        Assert.False(source is ISynchronousByteSource);
        var bytes = new byte[Whole.Length];
        await source.ReadExactlyAsync(0, bytes);
        Assert.Equal(Whole, bytes);
    }

    [Fact]
    public async Task Read_PartThatFails_FailsOnlyThere()
    {
        await using var source = Over((i, part) => i == 6 ? ThrowingSource.AfterBytes(part, 2) : part);
        const int failing = 11 + 5 + 1 + 2;
        await source.ReadExactlyAsync(0, new byte[failing]);
        var failure = await Assert.ThrowsAsync<IOException>(async () => await source.ReadExactlyAsync(0, new byte[failing + 1]));
        Assert.Equal(ThrowingSource.Message, failure.Message);
        await source.ReadExactlyAsync(failing + 5, new byte[20]);
    }

    [Fact]
    public async Task Read_Cancelled_ReadsNoFurther()
    {
        using var cancellation = new CancellationTokenSource();
        CancellingSource? cancelling = null;
        await using var source = Over((i, part) => i == 2 ? cancelling = new CancellingSource(part, cancellation) : part);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await source.ReadExactlyAsync(0, new byte[Whole.Length], cancellation.Token));
        Assert.Equal(0, cancelling!.ReadsAfterwards);
    }

    [Fact]
    public async Task EnsureUnchanged_AnyPartChanged_Throws()
    {
        for (var changed = 0; changed < 3; changed++)
        {
            using var stream = new MemoryStream();
            stream.Write([1, 2, 3]);
            IByteSource[] parts = [new MemorySource(new byte[2]), new MemorySource(new byte[2]), new MemorySource(new byte[2])];
            parts[changed] = new StreamSource(stream, leaveOpen: true);
            await using var source = AppendedSource.Over(parts[0], parts[1..]);
            await source.EnsureUnchangedAsync();
            stream.SetLength(1);
            var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await source.EnsureUnchangedAsync());
            Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
        }
    }

    [Fact]
    public async Task Dispose_Source_DisposesEveryPartOnce()
    {
        RecordingSource[] parts = [.. Enumerable.Range(0, 4).Select(i => new RecordingSource(new MemorySource(PartBytes(i))))];
        await AppendedSource.Over(parts[0], parts[1..]).DisposeAsync();
        Assert.All(parts, part => Assert.Equal(1, part.Disposals));
    }

    [Fact]
    public async Task Dispose_OnePartThrows_DisposesTheOthersAndSaysSo()
    {
        await using var file = new RecordingSource(new MemorySource(PartBytes(0), "file"));
        await using var last = new RecordingSource(new MemorySource(PartBytes(2)));
        var source = AppendedSource.Over(file, [new StreamSource(new FailingStream()), last]);
        var exception = await Assert.ThrowsAsync<AggregateException>(async () => await source.DisposeAsync());
        Assert.Contains("file", exception.Message, StringComparison.Ordinal);
        Assert.IsType<IOException>(Assert.Single(exception.InnerExceptions));
        Assert.Equal((1, 1), (file.Disposals, last.Disposals));
    }

    [Fact]
    public async Task Over_NoSections_IsTheFile()
    {
        await using var file = new MemorySource(new byte[3]);
        Assert.Same(file, AppendedSource.Over(file, []));
    }

    [Fact]
    public async Task Over_SizesBeyond64Bits_Throws()
    {
        await using var file = new EndlessSource();
        await using var section = new EndlessSource();
        Assert.Throws<OverflowException>(() => AppendedSource.Over(file, [section]));
    }

    // Says of itself that it is as large as a number can say.
    private sealed class EndlessSource : IByteSource
    {
        public string Name => "endless";

        public long Length => long.MaxValue;

        public ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default) =>
            ValueTask.FromResult(destination.Length);

        public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    private sealed class FailingStream() : MemoryStream([1, 2])
    {
        public override async ValueTask DisposeAsync()
        {
            await base.DisposeAsync();
            throw new IOException("the stream was told to fail here");
        }
    }
}
