using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Random access to a deflated record, against the bytes before they were compressed.</summary>
public sealed class InflatedSourceTests
{
    private static readonly byte[] Content = MakeContent(700_000);

    // Runs and noise by turns, so that it compresses and is nowhere the same.
    private static byte[] MakeContent(int length)
    {
        var random = new Random(5);
        var content = new byte[length];
        for (var i = 0; i < length; i++)
        {
            content[i] = i / 1000 % 2 == 0 ? (byte)(i / 1000) : (byte)random.Next(256);
        }

        return content;
    }

    private static byte[] Archive(byte[]? content = null, Action<ZipRecord>? change = null) => new ZipBuilder()
        .Add("before", [1, 2, 3])
        .Add("deflated", content ?? Content, record =>
        {
            record.Deflate();
            change?.Invoke(record);
        })
        .Add("behind", [4])
        .ToBytes();

    private static async Task<(InflatedSource Source, InflationCursors Cursors)> OpenAsync(IByteSource archive)
    {
        var file = ZipOpening.FileOf(archive);
        var directory = await ZipDirectory.ReadAsync(file, default);
        Assert.True(directory.TryGet("deflated", out var entry));
        var cursors = new InflationCursors();
        return (new InflatedSource(file, entry, cursors), cursors);
    }

    private static Task<(InflatedSource Source, InflationCursors Cursors)> OpenAsync(byte[] archive) =>
        OpenAsync(new MemorySource(archive, ZipOpening.Name));

    [Fact]
    public async Task Read_AnyOffsetsInAnyOrder_GivesTheBytes()
    {
        var archive = Archive();
        foreach (var inner in new IByteSource[] { new MemorySource(archive), new ShortReadSource(new MemorySource(archive), 999) })
        {
            var (opened, cursors) = await OpenAsync(inner);
            await using var source = opened;
            Assert.Equal(Content.Length, source.Length);
            var random = new Random(7);
            for (var i = 0; i < 40; i++)
            {
                var offset = random.Next(Content.Length);
                var length = random.Next(Math.Min(100_000, Content.Length - offset));
                var bytes = new byte[length];
                await source.ReadExactlyAsync(offset, bytes);
                Assert.True(Content.AsSpan(offset, length).SequenceEqual(bytes));
                Assert.InRange(cursors.Count, 0, InflationCursors.Maximum);
            }
        }
    }

    [Fact]
    public async Task Read_BehindTheEnd_IsEmpty()
    {
        var (opened, _) = await OpenAsync(Archive());
        await using var source = opened;
        Assert.Equal(0, await source.ReadAsync(Content.Length, new byte[1]));
        Assert.Equal(0, await source.ReadAsync(long.MaxValue, new byte[1]));
        Assert.Equal(0, await source.ReadAsync(0, Memory<byte>.Empty));
        Assert.Equal(10, await source.ReadAsync(Content.Length - 10, new byte[40]));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(async () => await source.ReadAsync(-1, new byte[1]));
    }

    [Fact]
    public async Task Read_ForwardInPieces_InflatesOnce()
    {
        await using var archive = new RecordingSource(new MemorySource(Archive()));
        var (opened, cursors) = await OpenAsync(archive);
        await using var source = opened;
        var before = archive.BytesRead;
        var bytes = new byte[10_000];
        for (var offset = 0; offset < Content.Length; offset += bytes.Length)
        {
            await source.ReadExactlyAsync(offset, bytes);
            Assert.True(Content.AsSpan(offset, bytes.Length).SequenceEqual(bytes));
        }

        Assert.InRange(archive.BytesRead - before, 1, Content.Length);
        Assert.Equal(0, cursors.Count);
    }

    [Fact]
    public async Task Read_TwoReadersByTurns_InflateOnceEach()
    {
        await using var archive = new RecordingSource(new MemorySource(Archive()));
        var (opened, cursors) = await OpenAsync(archive);
        await using var source = opened;
        var before = archive.BytesRead;
        var bytes = new byte[10_000];
        var half = Content.Length / 2;
        // The one behind begins first, or it would be at an end already where the one ahead begins.
        for (var offset = 0; offset < half; offset += bytes.Length)
        {
            await source.ReadExactlyAsync(half + offset, bytes);
            Assert.True(Content.AsSpan(half + offset, bytes.Length).SequenceEqual(bytes));
            await source.ReadExactlyAsync(offset, bytes);
            Assert.True(Content.AsSpan(offset, bytes.Length).SequenceEqual(bytes));
            Assert.InRange(cursors.Count, 1, 2);
        }

        Assert.InRange(archive.BytesRead - before, 1, 2 * Content.Length);
    }

    [Fact]
    public async Task Read_ManyReadersAtOnce_GiveTheBytesFromAFewPasses()
    {
        var (opened, cursors) = await OpenAsync(Archive());
        await using var source = opened;
        await Parallel.ForAsync(0, 100, new ParallelOptions { MaxDegreeOfParallelism = 40 }, async (i, token) =>
        {
            var offset = i * 6_900;
            var bytes = new byte[10_000];
            await source.ReadExactlyAsync(offset, bytes, token);
            Assert.True(Content.AsSpan(offset, bytes.Length).SequenceEqual(bytes));
            Assert.InRange(cursors.Count, 0, InflationCursors.Maximum);
        });
        Assert.InRange(cursors.Count, 1, InflationCursors.Maximum);
    }

    [Fact]
    public async Task Dispose_Source_EndsItsPasses()
    {
        var (source, cursors) = await OpenAsync(Archive());
        await source.ReadExactlyAsync(100, new byte[10]);
        await source.ReadExactlyAsync(50, new byte[10]);
        Assert.Equal(2, cursors.Count);
        await source.DisposeAsync();
        Assert.Equal(0, cursors.Count);
    }

    [Fact]
    public async Task Dispose_WhileAReaderIsAtAPass_EndsItAsItIsGivenBack()
    {
        var (source, cursors) = await OpenAsync(Archive());
        var file = ZipOpening.FileOf(Archive());
        Assert.True((await ZipDirectory.ReadAsync(file, default)).TryGet("deflated", out var entry));
        var pass = await cursors.TakeAsync(entry, 0, () => new InflationCursor(file, entry), default);
        await using (new InflatedSource(file, entry, cursors))
        {
        }

        Assert.Equal(1, cursors.Count);
        await cursors.ReturnAsync(pass);
        Assert.Equal(0, cursors.Count);
        await Assert.ThrowsAsync<ObjectDisposedException>(
            async () => await cursors.TakeAsync(entry, 0, () => new InflationCursor(file, entry), default));
        Assert.Equal(0, cursors.Count);

        // The turn was given back, and other records are read on.
        await source.ReadExactlyAsync(100, new byte[10]);
        Assert.Equal(1, cursors.Count);
        await source.DisposeAsync();
        Assert.Equal(0, cursors.Count);
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await source.ReadExactlyAsync(100, new byte[10]));
    }

    [Fact]
    public async Task Read_RecordShorterThanDeclared_Throws()
    {
        var (source, cursors) = await OpenAsync(Archive(change: record => record.Both(header => header.Length++)));
        await source.ReadExactlyAsync(0, new byte[100]);
        await InvalidAsync(source, Content.Length, 1, $"it has {Content.Length} bytes");
        await source.DisposeAsync();
        Assert.Equal(0, cursors.Count);
    }

    [Fact]
    public async Task Read_RecordLongerThanDeclared_Throws()
    {
        var (source, cursors) = await OpenAsync(Archive(change: record => record.Both(header => header.Length--)));
        await InvalidAsync(source, 0, Content.Length - 1, "more bytes");
        Assert.Equal(0, cursors.Count);
    }

    [Fact]
    public async Task Read_RecordWithOtherChecksum_Throws()
    {
        var (source, cursors) = await OpenAsync(Archive(change: record => record.Both(header => header.Crc ^= 1)));
        await InvalidAsync(source, Content.Length - 5, 5, "CRC-32");
        Assert.Equal(0, cursors.Count);
    }

    [Fact]
    public async Task Read_DamagedBytes_Throws()
    {
        var (source, cursors) = await OpenAsync(Archive(change: record => record.Data.AsSpan(record.Data.Length / 2).Fill(0xff)));
        await InvalidAsync(source, 0, Content.Length, "");
        Assert.Equal(0, cursors.Count);
    }

    [Fact]
    public async Task Open_MoreThanDeflateCanMake_Throws()
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(
            () => OpenAsync(Archive([1, 2, 3], record => record.Both(header => header.Length = 1_000_000))));
        Assert.Equal(CheckpointErrorCode.ArchiveInvalid, exception.Code);
    }

    [Fact]
    public async Task Read_Cancelled_EndsThePassAndInflatesNoFurther()
    {
        await using var counting = new RecordingSource(new ShortReadSource(new MemorySource(Archive()), 5_000));
        _ = await OpenAsync(counting);
        using var cancellation = new CancellationTokenSource();
        // In the middle of the record, behind what the directory takes.
        await using var archive = new CancellingSource(
            new ShortReadSource(new MemorySource(Archive()), 5_000), cancellation, atRead: counting.Reads.Count + 30);
        var (source, cursors) = await OpenAsync(archive);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await source.ReadExactlyAsync(Content.Length - 1, new byte[1], cancellation.Token));
        Assert.Equal(0, archive.ReadsAfterwards);
        Assert.Equal(0, cursors.Count);
        var bytes = new byte[10];
        await source.ReadExactlyAsync(500, bytes);
        Assert.Equal(Content[500..510], bytes);
        await source.DisposeAsync();
    }

    [Fact]
    public async Task Read_ArchiveThatFails_EndsThePass()
    {
        var archive = Archive();
        var (source, cursors) = await OpenAsync(ThrowingSource.AfterReads(new ShortReadSource(new MemorySource(archive), 50_000), 12));
        var exception = await Assert.ThrowsAsync<IOException>(async () => await source.ReadExactlyAsync(0, new byte[Content.Length]));
        Assert.Equal(ThrowingSource.Message, exception.Message);
        Assert.Equal(0, cursors.Count);
    }

    private static async Task InvalidAsync(InflatedSource source, long offset, int length, string word)
    {
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await source.ReadExactlyAsync(offset, new byte[length]));
        Assert.Equal(CheckpointErrorCode.ArchiveInvalid, exception.Code);
        Assert.Contains("'deflated'", exception.Message, StringComparison.Ordinal);
        Assert.Contains(word, exception.Message, StringComparison.Ordinal);
        Assert.StartsWith(ZipOpening.Name, exception.Message, StringComparison.Ordinal);
    }
}
