using FsCheck;
using FsCheck.Fluent;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>How the reader treats its source, and that no damage to an archive ends in anything but an exception of ours.</summary>
public sealed class ZipSourceTests
{
    private static readonly byte[] Small = Make(5, 40);

    [Fact]
    public async Task Read_SmallArchive_TakesTheTailAndOneReadForAllHeaders()
    {
        var source = new RecordingSource(new MemorySource(Make(300, 1000), ZipOpening.Name));
        await ZipDirectory.ReadAsync(ZipOpening.FileOf(source), default);
        Assert.Equal(2, source.Reads.Count);
    }

    [Fact]
    public async Task Read_LargeRecords_ReadsHeadersAndNoneOfTheData()
    {
        var bytes = Make(10, 600_000);
        foreach (var isLocal in new[] { false, true })
        {
            var source = new RecordingSource(new MemorySource(bytes, ZipOpening.Name));
            await ZipDirectory.ReadAsync(ZipOpening.FileOf(isLocal ? new SynchronousSource(source) : source), default);
            Assert.Equal(11, source.Reads.Count);
            Assert.InRange(source.BytesRead, 128 << 10, (128 << 10) + (10 * 100));
        }
    }

    [Fact]
    public async Task Read_SourceThatFailsAtAnyByte_PassesTheFailureOn()
    {
        for (var good = 0; good < Small.Length; good += 3)
        {
            var source = ThrowingSource.AfterBytes(new MemorySource(Small, ZipOpening.Name), good);
            var exception = await Assert.ThrowsAsync<IOException>(async () => await ZipDirectory.ReadAsync(ZipOpening.FileOf(source), default));
            Assert.Equal(ThrowingSource.Message, exception.Message);
            Assert.Equal(0, source.Disposals);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Read_CancelledAtARead_ReadsNoFurther(bool isLocal)
    {
        var bytes = Make(10, 600_000);
        foreach (var atRead in new[] { 1, 2, 6 })
        {
            using var cancellation = new CancellationTokenSource();
            var source = new CancellingSource(new MemorySource(bytes, ZipOpening.Name), cancellation, atRead);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                async () => await ZipDirectory.ReadAsync(ZipOpening.FileOf(isLocal ? new SynchronousSource(source) : source), cancellation.Token));
            // Those that run side by side may have begun: as many threads as this machine has.
            Assert.InRange(source.ReadsAfterwards, 0, isLocal ? 0 : Environment.ProcessorCount);
        }
    }

    [Fact]
    public async Task ReadRecord_CancelledWhileItInflates_Ends()
    {
        var noise = new byte[500_000];
        new Random(1).NextBytes(noise);
        var bytes = new ZipBuilder().Add("a", noise, record => record.Deflate()).ToBytes();
        using var cancellation = new CancellationTokenSource();
        var source = new CancellingSource(new MemorySource(bytes, ZipOpening.Name), cancellation, 5);
        var directory = await ZipDirectory.ReadAsync(ZipOpening.FileOf(source), default);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await directory.ReadRecordAsync(directory.Entries[0], 1 << 20, "Some.Option", cancellation.Token));
    }

    [Fact]
    public void Read_AnyBytesChanged_GivesADirectoryOrACheckpointException()
    {
        byte[][] files = [Small, Make(3, 5, record => record.Deflate(), hasZip64: true)];
        var changes = Gen.Elements(files).SelectMany(file =>
            Gen.Choose(0, file.Length - 1).Zip(Gen.OneOf(Gen.Choose(0, 255), Gen.Elements(0, 1, 0xff, 0x50, 0x4b)))
                .NonEmptyListOf()
                .Select(list => (File: file, Changes: list)));
        Prop.ForAll(changes.ToArbitrary(), change =>
        {
            var bytes = (byte[])change.File.Clone();
            foreach (var (offset, value) in change.Changes)
            {
                bytes[offset] = (byte)value;
            }

            return EndsWell(bytes);
        }).Check(Config.QuickThrowOnFailure.WithMaxTest(3000));
    }

    [Fact]
    public void Read_AnyByteOfTheEndChanged_GivesADirectoryOrACheckpointException()
    {
        // Every value of every byte from the directory on: the fields that lead everywhere else.
        var bytes = Make(2, 3, record => record.Deflate(), hasZip64: true);
        for (var offset = bytes.Length - 98 - (2 * 47); offset < bytes.Length; offset++)
        {
            var old = bytes[offset];
            for (var value = 0; value < 256; value++)
            {
                bytes[offset] = (byte)value;
                Assert.True(EndsWell(bytes));
            }

            bytes[offset] = old;
        }
    }

    private static bool EndsWell(byte[] bytes)
    {
        try
        {
            // A source in memory is read on this thread.
            var directory = ZipDirectory.ReadAsync(ZipOpening.FileOf(bytes), default).AsTask().GetAwaiter().GetResult();
            foreach (var entry in directory.Entries)
            {
                if (entry.DataOffset < 30 || entry.DataOffset + entry.CompressedLength > bytes.Length)
                {
                    return false;
                }

                try
                {
                    var record = directory.ReadRecordAsync(entry, 1 << 20, "Some.Option", default).AsTask().GetAwaiter().GetResult();
                    if (record.Length != entry.Length)
                    {
                        return false;
                    }
                }
                catch (CheckpointException)
                {
                    // Damaged bytes are found when they are read.
                }
            }

            return true;
        }
        catch (CheckpointException)
        {
            return true;
        }
    }

    private static byte[] Make(int records, int length, Action<ZipRecord>? change = null, bool hasZip64 = false)
    {
        var builder = new ZipBuilder { HasZip64End = hasZip64 };
        for (var i = 0; i < records; i++)
        {
            builder.Add($"{i}", [.. Enumerable.Repeat((byte)i, length)], change);
        }

        return builder.ToBytes();
    }
}
