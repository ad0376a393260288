using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Numbers that are turned round as they are read, whatever is read, against turning round the whole at once.</summary>
public sealed class ByteOrderSourceTests
{
    // Plain numbers of each size, blocks with numbers at their beginning, middle and end, and bytes between them.
    private static readonly SwappedRange[] Ranges =
    [
        new(5, 22, 2, [new(0, 2)]),
        new(27, 40, 4, [new(0, 4)]),
        new(80, 64, 8, [new(0, 8)]),
        new(150, 3 * 18, 18, [new(0, 2)]),
        new(210, 2 * 50, 50, [new(0, 2), new(34, 2, 8)]),
        new(310, 2 * 36, 36, [new(0, 4), new(10, 8, 2), new(34, 2)]),
        new(390, 0, 4, [new(0, 4)]),
        new(392, 8, 1, []),
    ];

    private static readonly byte[] Stored = [.. Enumerable.Range(0, 410).Select(i => (byte)((i * 37) + 11))];

    private static byte[] Expected()
    {
        var bytes = Stored.ToArray();
        foreach (var range in Ranges)
        {
            for (var block = range.Offset; block < range.Offset + range.Length; block += range.BlockSize)
            {
                foreach (var field in range.Fields)
                {
                    for (var i = 0; i < field.Count; i++)
                    {
                        bytes.AsSpan((int)block + field.Offset + (i * field.Size), field.Size).Reverse();
                    }
                }
            }
        }

        return bytes;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_EveryBeginningAndLength_IsAPieceOfTheWhole(bool synchronous)
    {
        var expected = Expected();
        IByteSource memory = new MemorySource(Stored);
        await using var source = ByteOrderSource.Over(synchronous ? memory : new RecordingSource(memory), Ranges.Reverse());
        Assert.Equal(synchronous, source is ISynchronousByteSource);
        var bytes = new byte[Stored.Length];
        for (var offset = 0; offset < Stored.Length; offset++)
        {
            for (var length = 1; length <= Stored.Length - offset; length += length < 40 ? 1 : 13)
            {
                bytes.AsSpan().Clear();
                var read = source is ISynchronousByteSource onThread
                    ? onThread.Read(offset, bytes.AsSpan(0, length))
                    : await source.ReadAsync(offset, bytes.AsMemory(0, length));
                Assert.Equal(length, read);
                Assert.True(expected.AsSpan(offset, length).SequenceEqual(bytes.AsSpan(0, length)), $"{length} bytes at {offset}");
                Assert.Equal(-1, bytes.AsSpan(length).IndexOfAnyExcept((byte)0));
            }
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(7)]
    public async Task Read_OverShortReads_IsWhole(int most)
    {
        var expected = Expected();
        foreach (var inner in new IByteSource[] { new ShortReadSource(new MemorySource(Stored), most), new SynchronousSource(new ShortReadSource(new MemorySource(Stored), most)) })
        {
            await using var source = ByteOrderSource.Over(inner, Ranges);
            var bytes = new byte[Stored.Length];
            await source.ReadExactlyAsync(0, bytes);
            Assert.Equal(expected, bytes);
        }
    }

    [Fact]
    public async Task Read_BehindTheEnd_IsEmpty()
    {
        await using var source = ByteOrderSource.Over(new MemorySource(Stored), Ranges);
        Assert.Equal(0, await source.ReadAsync(Stored.Length, new byte[4]));
        Assert.Equal(0, await source.ReadAsync(28, Memory<byte>.Empty));
        Assert.Equal(10, await source.ReadAsync(Stored.Length - 10, new byte[40]));
    }

    [Fact]
    public async Task Read_FailureInsideANumber_IsPassedOn()
    {
        // The bytes that were asked for can be read; the rest of the number they end in cannot.
        await using var source = ByteOrderSource.Over(ThrowingSource.AfterBytes(new MemorySource(Stored), 29), Ranges);
        var exception = await Assert.ThrowsAsync<IOException>(async () => await source.ReadAsync(27, new byte[2]));
        Assert.Equal(ThrowingSource.Message, exception.Message);
    }

    [Fact]
    public async Task Read_Cancelled_ReadsNoRestOfANumber()
    {
        using var cancellation = new CancellationTokenSource();
        var inner = new CancellingSource(new MemorySource(Stored), cancellation);
        await using var source = ByteOrderSource.Over(inner, Ranges);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await source.ReadAsync(28, new byte[2], cancellation.Token));
        Assert.Equal(0, inner.ReadsAfterwards);
    }

    [Fact]
    public async Task Dispose_Source_DisposesWhatItReadsFrom()
    {
        var inner = new RecordingSource(new MemorySource(Stored, "name"));
        var source = ByteOrderSource.Over(inner, Ranges);
        Assert.Equal(("name", (long)Stored.Length), (source.Name, source.Length));
        await source.EnsureUnchangedAsync();
        await source.DisposeAsync();
        Assert.Equal(1, inner.Disposals);
    }
}
