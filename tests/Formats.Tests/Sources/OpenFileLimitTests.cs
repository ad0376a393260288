using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class OpenFileLimitTests : IAsyncLifetime, IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly List<LocalFileSource> _sources = [];

    public Task InitializeAsync() => Task.CompletedTask;

    public async Task DisposeAsync()
    {
        foreach (var source in _sources)
        {
            await source.DisposeAsync();
        }
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Limit_OfTwo_ClosesAndOpensAgain()
    {
        var limit = new OpenFileLimit(2);
        Open(5, limit);
        Assert.Equal(2, limit.OpenCount);
        for (var round = 0; round < 3; round++)
        {
            for (var i = 0; i < 5; i++)
            {
                Assert.Equal(i, ReadFirst(i));
                await _sources[i].EnsureUnchangedAsync();
                Assert.Equal(2, limit.OpenCount);
            }
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-5)]
    [InlineData(1)]
    public void Limit_OfLessThanOne_IsOne(int maximum)
    {
        var limit = new OpenFileLimit(maximum);
        Open(3, limit);
        Assert.Equal(1, limit.OpenCount);
        Assert.Equal([0, 1, 2], Enumerable.Range(0, 3).Select(ReadFirst));
        Assert.Equal(1, limit.OpenCount);
    }

    [Fact]
    public async Task DisposeAsync_OpenOrClosed_LeavesTheCount()
    {
        var limit = new OpenFileLimit(2);
        Open(3, limit);
        await _sources[0].DisposeAsync();
        Assert.Equal(2, limit.OpenCount);
        await _sources[1].DisposeAsync();
        Assert.Equal(1, limit.OpenCount);
        await _sources[2].DisposeAsync();
        Assert.Equal(0, limit.OpenCount);
        Assert.Throws<ObjectDisposedException>(() => _sources[0].Read(0, new byte[1]));
    }

    [LinuxFact]
    public void FileBeyondTheLimit_ClosesTheLeastRecentlyRead()
    {
        var limit = new OpenFileLimit(2);
        Open(2, limit);
        Assert.Equal(0, ReadFirst(0));
        _sources.Add(new LocalFileSource(_folder.Write("2", [2]), limit));
        Assert.Equal([_folder["0"], _folder["2"]], OpenFiles.Below(_folder.Path));
    }

    [Fact]
    public async Task FileReplacedWhileClosed_IsRefused()
    {
        var limit = new OpenFileLimit(1);
        Open(2, limit);
        await AtomicFile.WriteAllBytesAsync(_folder["0"], new byte[] { 7, 8 });
        for (var i = 0; i < 2; i++)
        {
            var exception = Assert.Throws<InvalidCheckpointException>(() => _sources[0].Read(0, new byte[1]));
            Assert.Equal(CheckpointErrorCode.FileChanged, exception.Code);
            Assert.Equal(_folder["0"], exception.File);
            Assert.Contains("it had 1 bytes", exception.Message, StringComparison.Ordinal);
            Assert.Contains("has 2 bytes", exception.Message, StringComparison.Ordinal);
        }

        // The refused file is not kept open.
        Assert.Equal(1, limit.OpenCount);
        Assert.Equal(1, ReadFirst(1));
    }

    [Fact]
    public void FileRemovedWhileClosed_IsMissing()
    {
        Open(2, new OpenFileLimit(1));
        File.Delete(_folder["0"]);
        Assert.Throws<FileNotFoundException>(() => _sources[0].Read(0, new byte[1]));
    }

    [LinuxFact]
    public async Task AThousandFiles_ReadInParallel_KeepFewDescriptors()
    {
        const int readers = 8;
        var limit = new OpenFileLimit(16);
        Open(1000, limit);
        Assert.Equal(16, OpenFiles.Below(_folder.Path).Count);
        var most = 0;
        await Parallel.ForEachAsync(
            Enumerable.Range(0, 3000), new ParallelOptions { MaxDegreeOfParallelism = readers }, async (i, token) =>
            {
                var destination = new byte[1];
                await _sources[i * 7 % 1000].ReadExactlyAsync(0, destination, token);
                Assert.Equal((byte)(i * 7 % 1000), destination[0]);
                if (i % 100 == 0)
                {
                    InterlockedMaximum(ref most, OpenFiles.Below(_folder.Path).Count);
                }
            });

        // A reader's own file may be open beyond the limit, and one that is being opened is not counted yet.
        Assert.InRange(most, 1, 16 + (2 * readers));
        _ = ReadFirst(0);
        _ = ReadFirst(1);
        Assert.Equal(16, limit.OpenCount);
        Assert.Equal(16, OpenFiles.Below(_folder.Path).Count);
        foreach (var source in _sources)
        {
            await source.DisposeAsync();
        }

        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    private void Open(int count, OpenFileLimit limit)
    {
        for (var i = 0; i < count; i++)
        {
            _sources.Add(new LocalFileSource(_folder.Write($"{i}", [(byte)i]), limit));
        }
    }

    private int ReadFirst(int index)
    {
        var destination = new byte[1];
        _sources[index].ReadExactly(0, destination);
        return destination[0];
    }

    private static void InterlockedMaximum(ref int maximum, int value)
    {
        for (var seen = Volatile.Read(ref maximum); value > seen;)
        {
            var before = Interlocked.CompareExchange(ref maximum, value, seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }
}
