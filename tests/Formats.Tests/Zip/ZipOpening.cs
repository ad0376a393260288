using System.Globalization;
using IlgpuLoader.Formats.Zip;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Opens the bytes of one archive every way a reader must bear: at once, on the calling thread and a few bytes a read.</summary>
internal static class ZipOpening
{
    /// <summary>The name under which the bytes are opened; messages must begin with it.</summary>
    public const string Name = "folder/model.pt";

    /// <summary>What opening may allocate beyond the file's own size (formats.md section 5).</summary>
    public const long AllocationBound = 64L << 20;

    public static CheckpointFile FileOf(byte[] bytes) => FileOf(new MemorySource(bytes, Name));

    public static CheckpointFile FileOf(IByteSource source) => new("model.pt", Name, "pytorch", source);

    public static async Task<ZipDirectory> AcceptedAsync(byte[] bytes)
    {
        var directory = await ZipDirectory.ReadAsync(FileOf(bytes), default);
        var slowly = await ZipDirectory.ReadAsync(FileOf(new ShortReadSource(new MemorySource(bytes, Name), 7)), default);
        Assert.Equal(directory.Entries, slowly.Entries);
        Assert.All(directory.Entries, entry =>
        {
            Assert.True(directory.TryGet(entry.Name, out var found));
            Assert.Same(entry, found);
            Assert.InRange(entry.DataOffset, entry.HeaderOffset + 30, bytes.Length - entry.CompressedLength);
        });
        return directory;
    }

    public static ValueTask<byte[]> BytesAsync(ZipDirectory directory, string name, long maximum = 1 << 20)
    {
        Assert.True(directory.TryGet(name, out var entry));
        return directory.ReadRecordAsync(entry, maximum, "Some.Option", default);
    }

    /// <summary>Opens an archive that breaks a rule within the bound of memory, and gives the exception.</summary>
    public static async Task<InvalidCheckpointException> InvalidAsync(byte[] bytes, CheckpointErrorCode code = CheckpointErrorCode.ArchiveInvalid)
    {
        var exception = await RefusedAsync<InvalidCheckpointException>(bytes, directory => ValueTask.CompletedTask);
        Assert.Equal(code, exception.Code);
        Assert.InRange(exception.Offset!.Value, 0, bytes.Length);
        Assert.EndsWith(string.Create(CultureInfo.InvariantCulture, $" (at byte {exception.Offset})"), exception.Message, StringComparison.Ordinal);
        return exception;
    }

    /// <summary>Opens an archive, asks something of it, and gives the exception that either ends in.</summary>
    public static async Task<TException> RefusedAsync<TException>(byte[] bytes, Func<ZipDirectory, ValueTask> ask)
        where TException : CheckpointException
    {
        var file = FileOf(bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        var opening = AskAsync(file, ask);
        // A source in memory is read on this thread, so what is counted is all there was.
        Assert.True(opening.IsCompleted);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, bytes.Length + AllocationBound);
        var exception = await Assert.ThrowsAsync<TException>(() => opening);
        var again = await Assert.ThrowsAsync<TException>(() => AskAsync(FileOf(new ShortReadSource(new MemorySource(bytes, Name), 7)), ask));
        Assert.Equal(Name, exception.File);
        Assert.StartsWith(Name + ": ", exception.Message, StringComparison.Ordinal);
        Assert.Equal(exception.Message, again.Message);
        return exception;
    }

    private static async Task AskAsync(CheckpointFile file, Func<ZipDirectory, ValueTask> ask) =>
        await ask(await ZipDirectory.ReadAsync(file, default));
}
