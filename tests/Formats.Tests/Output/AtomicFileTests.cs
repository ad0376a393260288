using System.Globalization;
using System.Runtime.Versioning;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class AtomicFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_GivesTheFileItsName_AndNotBefore(bool named)
    {
        await using var file = AtomicFile.Create(_folder["f"], 0, Calls(named));
        Assert.Equal(_folder["f"], file.Path);
        file.Write(3, [4, 5]);
        await file.WriteAsync(0, new byte[] { 1, 2, 3 });
        Assert.False(File.Exists(_folder["f"]));
        await file.CommitAsync();
        Assert.Equal([1, 2, 3, 4, 5], File.ReadAllBytes(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_ReplacesWhatWasThere_AndNotBefore(bool named)
    {
        _folder.Write("f", "a longer old text");
        await using var file = AtomicFile.Create(_folder["f"], 0, Calls(named));
        file.Write(0, "new"u8);
        Assert.Equal("a longer old text", File.ReadAllText(_folder["f"]));
        await file.CommitAsync();
        Assert.Equal("new", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [Theory]
    [InlineData(0, true)]
    [InlineData(1 << 20, true)]
    [InlineData(0, false)]
    [InlineData(1 << 20, false)]
    public async Task Dispose_WithoutCommit_LeavesNothing(long length, bool named)
    {
        _folder.Write("f", "old");
        var file = AtomicFile.Create(_folder["f"], length, Calls(named));
        file.Write(0, "new"u8);
        Assert.Equal(named || !OperatingSystem.IsLinux() ? 2 : 1, Entries().Length);
        await file.DisposeAsync();
        await file.DisposeAsync();
        Assert.Equal([_folder["f"]], Entries());
        Assert.Equal("old", File.ReadAllText(_folder["f"]));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await file.CommitAsync());
        Assert.Throws<ObjectDisposedException>(() => file.Write(0, "new"u8));
        Assert.Equal("old", File.ReadAllText(_folder["f"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_Twice_ThrowsAndKeepsTheFile(bool named)
    {
        await using (var file = AtomicFile.Create(_folder["f"], 0, Calls(named)))
        {
            file.Write(0, "new"u8);
            await file.CommitAsync();
            await Assert.ThrowsAsync<ObjectDisposedException>(async () => await file.CommitAsync());
        }

        Assert.Equal("new", File.ReadAllText(_folder["f"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_Cancelled_LeavesTheOldFileAndNothingElse(bool named)
    {
        _folder.Write("f", "old");
        await using (var file = AtomicFile.Create(_folder["f"], 0, Calls(named)))
        {
            file.Write(0, "new"u8);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                async () => await file.CommitAsync(new CancellationToken(canceled: true)));
        }

        Assert.Equal("old", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_WhenAFolderHasComeToTheName_FailsAndLeavesIt(bool named)
    {
        await using (var file = AtomicFile.Create(_folder["d"], 0, Calls(named)))
        {
            file.Write(0, "new"u8);
            Directory.CreateDirectory(_folder["d"]);
            var exception = await Assert.ThrowsAsync<IOException>(async () => await file.CommitAsync());
            Assert.StartsWith($"{_folder["d"]}: this is a folder", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal([_folder["d"]], Entries());
        Assert.True(Directory.Exists(_folder["d"]));
    }

    [Fact]
    public async Task WriteAllBytes_WritesTheWholeFile()
    {
        await AtomicFile.WriteAllBytesAsync(_folder["f"], new byte[] { 1, 2, 3 });
        await AtomicFile.WriteAllBytesAsync(_folder["empty"], ReadOnlyMemory<byte>.Empty);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(_folder["f"]));
        Assert.Empty(File.ReadAllBytes(_folder["empty"]));
        Assert.Equal(2, Entries().Length);
    }

    [Fact]
    public async Task WriteAllBytes_Cancelled_LeavesNothing()
    {
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => AtomicFile.WriteAllBytesAsync(_folder["f"], new byte[3], overwrite: true, new CancellationToken(canceled: true)));
        Assert.Empty(Entries());
    }

    [Fact]
    public async Task Create_WithALength_IsCutToWhatWasWritten()
    {
        await using var file = AtomicFile.Create(_folder["f"], 1 << 20);
        file.Write(0, [1, 2, 3]);
        await file.CommitAsync();
        Assert.InRange(new FileInfo(_folder["f"]).Length, 3, 1 << 20);
        Assert.Equal([1, 2, 3], File.ReadAllBytes(_folder["f"])[..3]);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Create_LargerThanTheDisk_FailsBeforeTheWork_AndLeavesNothing(bool named)
    {
        // With the disk's own number, and where it has none: no file system has files so large.
        foreach (var calls in (RecordingCalls[])[Calls(named), new() { RefuseUnnamed = named, FreeBytes = long.MaxValue }])
        {
            var exception = Assert.Throws<IOException>(() => AtomicFile.Create(_folder["f"], 1L << 60, calls));
            Assert.Contains((1L << 60).ToString(CultureInfo.InvariantCulture), exception.Message, StringComparison.Ordinal);
            Assert.Empty(Entries());
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Create_LargerThanWhatIsFree_FailsBeforeAnySpaceIsTaken(bool named)
    {
        // Really trying would take all that is free from whoever else writes at that moment.
        var calls = new RecordingCalls { RefuseUnnamed = named, FreeBytes = 1000 };
        var exception = Assert.Throws<IOException>(() => AtomicFile.Create(_folder["f"], 1001, calls));
        Assert.StartsWith($"{_folder["f"]}: ", exception.Message, StringComparison.Ordinal);
        Assert.Contains("1001 bytes of this file: 1000 bytes are free", exception.Message, StringComparison.Ordinal);
        Assert.Empty(Entries());
        await using var file = AtomicFile.Create(_folder["f"], 1000, calls);
        await file.CommitAsync();
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: false, calls);
        Assert.Throws<IOException>(() => folder.CreateFile("a", 1001));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Create_InAFolderThatIsMissing_FailsAndSaysWhatToDo(bool named)
    {
        var exception = Assert.Throws<DirectoryNotFoundException>(() => AtomicFile.Create(_folder["missing/f"], 0, Calls(named)));
        Assert.Equal($"{_folder["missing/f"]}: the folder {_folder["missing"]} does not exist; make it first.", exception.Message);
        Assert.NotNull(exception.InnerException);
    }

    [Fact]
    public void Create_WrongArguments_AreRefused()
    {
        Assert.Throws<ArgumentException>("path", () => AtomicFile.Create(""));
        Assert.Throws<ArgumentOutOfRangeException>("length", () => AtomicFile.Create(_folder["f"], -1));
    }

    [Fact]
    public async Task Write_BeforeTheFile_IsRefused()
    {
        await using var file = AtomicFile.Create(_folder["f"]);
        Assert.Throws<ArgumentOutOfRangeException>("offset", () => file.Write(-1, [1]));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>("offset", async () => await file.WriteAsync(-1, new byte[1]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Create_TwiceForOneName_LastCommitStands(bool named)
    {
        await using var first = AtomicFile.Create(_folder["f"], 0, Calls(named));
        await using var second = AtomicFile.Create(_folder["f"], 0, Calls(named));
        first.Write(0, "first"u8);
        second.Write(0, "second"u8);
        await second.CommitAsync();
        await first.CommitAsync();
        Assert.Equal("first", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [LinuxFact]
    public async Task Create_TheLongestNameOfTheFileSystem_Works()
    {
        // 255 bytes in two-byte, three-byte and four-byte letters.
        foreach (var name in (string[])[new('n', 255), new('é', 127), new('語', 85), string.Concat(Enumerable.Repeat("😀", 63))])
        {
            await AtomicFile.WriteAllBytesAsync(_folder[name], new byte[1]);
            Assert.True(File.Exists(_folder[name]));
        }

        Assert.Equal(4, Entries().Length);
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    [UnsupportedOSPlatform("windows")]
    public async Task Permissions_FollowTheUmask(bool named)
    {
        await using (var file = AtomicFile.Create(_folder["f"], 0, Calls(named)))
        {
            await file.CommitAsync();
        }

        var umask = File.ReadLines("/proc/self/status").Single(line => line.StartsWith("Umask:", StringComparison.Ordinal));
        var mask = Convert.ToInt32(umask["Umask:".Length..].Trim(), 8);
        Assert.Equal(
            Convert.ToString(0b110_110_110 & ~mask, 8), Convert.ToString((int)File.GetUnixFileMode(_folder["f"]), 8));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Write_FromManyThreads_PutsEveryRangeInItsPlace(bool named)
    {
        await using var file = AtomicFile.Create(_folder["f"], 64 * 1000, Calls(named));
        await Parallel.ForAsync(0, 64, async (i, token) =>
        {
            var bytes = Enumerable.Repeat((byte)i, 1000).ToArray();
            await file.WriteAsync(i * 1000L, bytes, token);
        });
        await file.CommitAsync();
        Assert.Equal(Enumerable.Range(0, 64_000).Select(i => (byte)(i / 1000)), File.ReadAllBytes(_folder["f"]));
    }

    // What other systems do, and what Linux does by itself.
    private static RecordingCalls Calls(bool named) => new() { RefuseUnnamed = named };

    private string[] Entries() => Directory.GetFileSystemEntries(_folder.Path);

    [Fact]
    public async Task Write_OfManyBytes_HasTheDiskBeginBeforeTheEnd()
    {
        var calls = new RecordingCalls();
        var piece = new byte[1 << 20];
        await using var file = AtomicFile.Create(_folder["large"], 0, calls);
        for (var i = 0; i < 70; i++)
        {
            file.Write((long)i * piece.Length, piece);
        }

        Assert.Equal(2, calls.Writebacks);
        await file.CommitAsync();
        Assert.Equal(70L << 20, new FileInfo(_folder["large"]).Length);
    }
}
