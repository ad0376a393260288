using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class LocalFileSourceTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_FromManyThreads_GivesEachItsBytes()
    {
        var bytes = RandomBytes(1 << 20);
        await using var source = new LocalFileSource(_folder.Write("f", bytes));
        Assert.Equal(1 << 20, source.Length);
        Assert.Equal(_folder["f"], source.Name);
        await Parallel.ForEachAsync(Enumerable.Range(0, 256), new ParallelOptions { MaxDegreeOfParallelism = 16 }, async (i, token) =>
        {
            var destination = new byte[4096];
            if (i % 2 == 0)
            {
                source.ReadExactly(i * 4096, destination);
            }
            else
            {
                await source.ReadExactlyAsync(i * 4096, destination, token);
            }

            Assert.Equal(bytes[(i * 4096)..((i + 1) * 4096)], destination);
        });
    }

    [Fact]
    public async Task ReadExactly_ThroughShortReads_IsWhole()
    {
        var bytes = RandomBytes(1000);
        await using var source = new ShortReadSource(new LocalFileSource(_folder.Write("f", bytes)), most: 7);
        var destination = new byte[500];
        await source.ReadExactlyAsync(123, destination);
        Assert.Equal(bytes[123..623], destination);
    }

    [Fact]
    public async Task ReadExactlyAsync_CancelledBetweenShortReads_Stops()
    {
        using var cancellation = new CancellationTokenSource();
        var cancelling = new CancellingSource(new LocalFileSource(_folder.Write("f", new byte[100])), cancellation, atRead: 3);
        await using var source = new ShortReadSource(cancelling);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            async () => await source.ReadExactlyAsync(0, new byte[100], cancellation.Token));
        Assert.Equal(0, cancelling.ReadsAfterwards);
    }

    [Fact]
    public async Task Read_AtAndBeyondTheEnd_GivesNothing()
    {
        await using var source = new LocalFileSource(_folder.Write("f", new byte[10]));
        Assert.Equal(2, source.Read(8, new byte[5]));
        Assert.Equal(0, source.Read(10, new byte[5]));
        Assert.Equal(0, source.Read(1L << 50, new byte[5]));
        Assert.Equal(0, await source.ReadAsync(11, new byte[5]));
        Assert.Equal(0, source.Read(0, []));
        Assert.Throws<ArgumentOutOfRangeException>(() => source.Read(-1, new byte[5]));
    }

    [Fact]
    public async Task Constructor_EmptyFile_IsASourceWithoutBytes()
    {
        await using var source = new LocalFileSource(_folder.Write("f", ""));
        Assert.Equal(0, source.Length);
        Assert.Equal(0, source.Read(0, new byte[1]));
    }

    [Fact]
    public void Constructor_MissingFile_NamesIt()
    {
        var exception = Assert.Throws<FileNotFoundException>(() => new LocalFileSource(_folder["missing"]));
        Assert.Contains(_folder["missing"], exception.Message, StringComparison.Ordinal);
        Assert.Throws<DirectoryNotFoundException>(() => new LocalFileSource(_folder["missing/too"]));
        Assert.Throws<ArgumentException>("path", () => new LocalFileSource(""));
    }

    [Fact]
    public void Constructor_Folder_IsRefused() =>
        Assert.Throws<UnauthorizedAccessException>(() => new LocalFileSource(_folder.Path));

    [LinuxFact]
    public async Task Constructor_LinkToAFile_ReadsTheFile()
    {
        File.CreateSymbolicLink(_folder["link"], _folder.Write("f", new byte[10]));
        await using var source = new LocalFileSource(_folder["link"]);
        Assert.Equal(10, source.Length);
    }

    [LinuxFact]
    public async Task Constructor_PipeWithoutAWriter_IsRefusedInsteadOfWaitedFor()
    {
        NamedPipe.Create(_folder["pipe"]);
        var exception = Assert.Throws<UnsupportedCheckpointException>(() => new LocalFileSource(_folder["pipe"]));
        Assert.Equal(CheckpointErrorCode.Unsupported, exception.Code);
        Assert.StartsWith($"{_folder["pipe"]}: this is a pipe", exception.Message, StringComparison.Ordinal);
    }

    [LinuxFact]
    public async Task Constructor_PipeWithAWriterBehindALink_IsRefused()
    {
        NamedPipe.Create(_folder["pipe"]);
        // Opened for both, a pipe waits for nobody.
        using var writer = File.OpenHandle(_folder["pipe"], FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        File.CreateSymbolicLink(_folder["link"], _folder["pipe"]);
        Assert.Throws<UnsupportedCheckpointException>(() => new LocalFileSource(_folder["link"]));
    }

    [LinuxFact]
    public async Task Read_FileCutWhileOpen_SaysWhereItEnds()
    {
        await using var source = new LocalFileSource(_folder.Write("f", new byte[1000]));
        Cut(_folder["f"], 600);
        var exception = Assert.Throws<InvalidCheckpointException>(() => source.ReadExactly(500, new byte[500]));
        Assert.Equal(CheckpointErrorCode.FileTruncated, exception.Code);
        Assert.Equal(600, exception.Offset);
        Assert.Equal(_folder["f"], exception.File);
        Assert.Contains("400 more bytes", exception.Message, StringComparison.Ordinal);
        Assert.Contains("1000 bytes when it was opened", exception.Message, StringComparison.Ordinal);
        Assert.Equal(1000, source.Length);
    }

    [LinuxFact]
    public async Task EnsureUnchangedAsync_FileCutWhileOpen_SaysBothLengths()
    {
        await using var source = new LocalFileSource(_folder.Write("f", new byte[1000]));
        await source.EnsureUnchangedAsync();
        Cut(_folder["f"], 600);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await source.EnsureUnchangedAsync());
        Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
        Assert.Contains("it had 1000 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Contains("600 bytes", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task EnsureUnchangedAsync_FileWrittenAgainWithTheSameLength_IsSeenByItsTime()
    {
        await using var source = new LocalFileSource(_folder.Write("f", new byte[10]));
        File.SetLastWriteTimeUtc(_folder["f"], new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(async () => await source.EnsureUnchangedAsync());
        Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
        Assert.Contains("2001-02-03T04:05:06", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_FileReplacedWhileOpen_GivesTheOldBytes()
    {
        await using var source = new LocalFileSource(_folder.Write("f", [1, 2, 3]));
        await AtomicFile.WriteAllBytesAsync(_folder["f"], new byte[] { 7, 8 });
        var destination = new byte[3];
        source.ReadExactly(0, destination);
        Assert.Equal([1, 2, 3], destination);
        await source.EnsureUnchangedAsync();
    }

    [Fact]
    public async Task DisposeAsync_Twice_IsAllowed_AndUseAfterwardsIsNot()
    {
        var source = new LocalFileSource(_folder.Write("f", new byte[10]), new OpenFileLimit());
        await source.DisposeAsync();
        await source.DisposeAsync();
        Assert.Throws<ObjectDisposedException>(() => source.Read(0, new byte[1]));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await source.ReadAsync(0, new byte[1]));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await source.EnsureUnchangedAsync());
    }

    private static byte[] RandomBytes(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private static void Cut(string path, long length)
    {
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
        stream.SetLength(length);
    }
}
