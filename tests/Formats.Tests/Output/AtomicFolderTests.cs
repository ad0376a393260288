using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class AtomicFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_SomethingCameToTheTargetMeanwhile_IsKeptAndNamed(bool named)
    {
        using (var output = AtomicFolder.Create(_folder["model"], overwrite: false, Calls(named)))
        {
            await FillAsync(output, "ours");
            _folder.Write("model/theirs", "theirs");
            var exception = Assert.Throws<IOException>(output.Commit);
            Assert.StartsWith(_folder["model"] + ": ", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal([_folder["model"]], Entries());
        Assert.Equal("theirs", File.ReadAllText(_folder["model/theirs"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_MakesTheFolderAppearWhole_AndNotBefore(bool named)
    {
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: false, Calls(named));
        await FillAsync(folder, "a", "b");
        Assert.Equal(_folder["d"], folder.Path);
        Assert.False(Directory.Exists(_folder["d"]));
        Assert.Equal(named || !OperatingSystem.IsLinux() ? 1 : 0, Entries().Length);
        folder.Commit();
        Assert.Equal([_folder["d/a"], _folder["d/b"]], Entries("d"));
        Assert.Equal("b", File.ReadAllText(_folder["d/b"]));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Dispose_WithoutCommit_LeavesNothing(bool named)
    {
        var folder = AtomicFolder.Create(_folder["d"], overwrite: false, Calls(named));
        await FillAsync(folder, "a");
        var open = folder.CreateFile("open", 1 << 20);
        folder.Dispose();
        folder.Dispose();
        Assert.Empty(Entries());
        await Assert.ThrowsAsync<ObjectDisposedException>(async () => await open.CommitAsync());
        await open.DisposeAsync();
        Assert.Empty(Entries());
        Assert.Throws<ObjectDisposedException>(() => folder.CreateFile("late"));
        Assert.Throws<ObjectDisposedException>(folder.Commit);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Dispose_AfterCommit_KeepsTheFolder(bool named)
    {
        var folder = AtomicFolder.Create(_folder["d"], overwrite: false, Calls(named));
        await FillAsync(folder, "a");
        folder.Commit();
        Assert.Throws<ObjectDisposedException>(folder.Commit);
        folder.Dispose();
        Assert.Equal([_folder["d/a"]], Entries("d"));
    }

    [Fact]
    public void Create_FolderThatIsNotEmpty_IsRefusedAndUntouched()
    {
        _folder.Write("d/old", "old");
        var exception = Assert.Throws<IOException>(() => AtomicFolder.Create(_folder["d"]));
        Assert.StartsWith(_folder["d"] + ": ", exception.Message, StringComparison.Ordinal);
        Assert.Equal([_folder["d/old"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Create_File_IsRefused(bool overwrite)
    {
        _folder.Write("d", "a file");
        Assert.Throws<IOException>(() => AtomicFolder.Create(_folder["d"], overwrite));
        Assert.Equal("a file", File.ReadAllText(_folder["d"]));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Create_EmptyFolder_IsAccepted(bool overwrite)
    {
        Directory.CreateDirectory(_folder["d"]);
        using var folder = AtomicFolder.Create(_folder["d"], overwrite);
        await FillAsync(folder, "a");
        Assert.Empty(Entries("d"));
        folder.Commit();
        Assert.Equal([_folder["d/a"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Theory]
    [InlineData(false, false)]
    [InlineData(false, true)]
    [InlineData(true, false)]
    [InlineData(true, true)]
    public async Task Commit_WithOverwrite_ReplacesTheWholeFolder(bool named, bool aside)
    {
        _folder.Write("d/old", "old");
        _folder.Write("d/inner/old", "old");
        using var folder = AtomicFolder.Create(
            _folder["d"], overwrite: true, new RecordingCalls { RefuseUnnamed = named, RefuseExchange = aside });
        await FillAsync(folder, "new");
        Assert.Equal("old", File.ReadAllText(_folder["d/old"]));
        folder.Commit();
        Assert.Equal([_folder["d/new"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public async Task Commit_WithOverwrite_WhenTheNewNameCannotBeGiven_BringsTheOldFolderBack()
    {
        _folder.Write("d/old", "old");
        var calls = new RecordingCalls { RefuseExchange = true, FailingFolderMove = 2 };
        using (var folder = AtomicFolder.Create(_folder["d"], overwrite: true, calls))
        {
            await FillAsync(folder, "new");
            Assert.Throws<IOException>(folder.Commit);
        }

        Assert.Equal(["move d aside", "move hidden d", "move aside d"], calls.Steps.Where(step => step.StartsWith("move", StringComparison.Ordinal)));
        Assert.Equal([_folder["d/old"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public async Task AddLink_GivesAFileOfTheFolderAnotherNameWhenItIsCommitted()
    {
        using (var folder = AtomicFolder.Create(_folder["d"]))
        {
            await folder.WriteAllBytesAsync("a", new byte[] { 1, 2, 3 });
            folder.AddLink("b", "a");
            Assert.Throws<ArgumentException>(() => folder.AddLink("b", "a"));
            Assert.Throws<ArgumentException>(() => folder.AddLink("a", "a"));
            Assert.Throws<ArgumentException>(() => folder.AddLink("c", "missing"));
            Assert.Throws<ArgumentException>(() => folder.AddLink("../c", "a"));
            Assert.Empty(Entries());
            folder.Commit();
            Assert.Throws<ObjectDisposedException>(() => folder.AddLink("c", "a"));
        }

        Assert.Equal([_folder["d/a"], _folder["d/b"]], Entries("d").Order());
        Assert.Equal(new byte[] { 1, 2, 3 }, await File.ReadAllBytesAsync(_folder["d/b"]));
    }

    [Fact]
    public async Task Dispose_WithOverwriteAndWithoutCommit_KeepsTheOldFolder()
    {
        _folder.Write("d/old", "old");
        var folder = AtomicFolder.Create(_folder["d"], overwrite: true);
        await FillAsync(folder, "new");
        folder.Dispose();
        Assert.Equal([_folder["d/old"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public async Task Commit_WhenTheEmptyFolderHasBeenFilledSince_ThrowsAndLosesNothing()
    {
        Directory.CreateDirectory(_folder["d"]);
        using (var folder = AtomicFolder.Create(_folder["d"]))
        {
            await FillAsync(folder, "new");
            _folder.Write("d/theirs", "theirs");
            Assert.Throws<IOException>(folder.Commit);
        }

        Assert.Equal([_folder["d/theirs"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public async Task Commit_WhenWhatWasWrittenIsGone_ThrowsAndKeepsTheOldFolder()
    {
        _folder.Write("d/old", "old");
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: true, Calls(named: true));
        await FillAsync(folder, "new");
        Directory.Delete(Entries().Single(entry => entry != _folder["d"]), recursive: true);
        Assert.ThrowsAny<IOException>(folder.Commit);
        Assert.Equal([_folder["d/old"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public async Task Create_PathWithASeparatorAtTheEnd_MeansTheFolder()
    {
        using var folder = AtomicFolder.Create(_folder["d"] + Path.DirectorySeparatorChar);
        await FillAsync(folder, "a");
        folder.Commit();
        Assert.Equal(_folder["d"], folder.Path);
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public void Create_WithoutAPath_IsRefused() => Assert.Throws<ArgumentException>("path", () => AtomicFolder.Create(""));

    [Fact]
    public void Commit_WithoutFiles_IsAnEmptyFolder()
    {
        using var folder = AtomicFolder.Create(_folder["d"]);
        folder.Commit();
        Assert.Empty(Entries("d"));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_WhileAFileIsBeingWritten_ThrowsAndNamesIt(bool named)
    {
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: false, Calls(named));
        await FillAsync(folder, "whole");
        var half = folder.CreateFile("half");
        half.Write(0, [1]);
        Assert.Contains("'half'", Assert.Throws<InvalidOperationException>(folder.Commit).Message, StringComparison.Ordinal);
        await half.DisposeAsync();
        folder.Commit();
        Assert.Equal([_folder["d/whole"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CreateFile_AfterOneOfThatNameWasDropped_IsTheOnlyOne(bool named)
    {
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: false, Calls(named));
        var dropped = folder.CreateFile("a");
        dropped.Write(0, "dropped"u8);
        Assert.Throws<ArgumentException>("name", () => folder.CreateFile("a"));
        await dropped.DisposeAsync();
        await FillAsync(folder, "a");
        await dropped.DisposeAsync();
        Assert.Throws<ArgumentException>("name", () => folder.CreateFile("a"));
        folder.Commit();
        Assert.Equal("a", File.ReadAllText(_folder["d/a"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".")]
    [InlineData("..")]
    [InlineData("a/b")]
    [InlineData("a\\b")]
    [InlineData("/a")]
    [InlineData("a\0")]
    public void CreateFile_WhatIsNoBaseName_IsRefused(string text)
    {
        using var folder = AtomicFolder.Create(_folder["d"]);
        Assert.Throws<ArgumentException>("name", () => folder.CreateFile(text));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task CreateFile_LargerThanTheDisk_ThrowsAndTheFolderIsWithoutIt(bool named)
    {
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: false, Calls(named));
        Assert.Throws<IOException>(() => folder.CreateFile("a", 1L << 60));
        await FillAsync(folder, "a");
        folder.Commit();
        Assert.Equal([_folder["d/a"]], Entries("d"));
    }

    [Fact]
    public async Task WriteAllBytes_Cancelled_LeavesTheFolderWithoutTheFile()
    {
        using var folder = AtomicFolder.Create(_folder["d"]);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => folder.WriteAllBytesAsync("a", new byte[1], new CancellationToken(canceled: true)));
        folder.Commit();
        Assert.Empty(Entries("d"));
    }

    [LinuxFact]
    public async Task CreateFile_BeyondWhatIsHeldWithoutAName_GoesIntoTheHiddenFolder()
    {
        const int held = 5;
        const int files = held + 3;
        using (var folder = AtomicFolder.Create(_folder["d"], overwrite: false, new RecordingCalls { SpareDescriptors = held }))
        {
            await FillAsync(folder, [.. Enumerable.Range(0, files).Select(i => $"f{i}")]);
            Assert.Equal(held, OpenFiles.Below(_folder.Path + "/#").Count);
            Assert.Equal(3, Directory.GetFiles(Assert.Single(Entries())).Length);
            folder.Commit();
        }

        Assert.Equal(files, Entries("d").Length);
        Assert.All(Entries("d"), path => Assert.Equal(Path.GetFileName(path), File.ReadAllText(path)));
        Assert.Equal([_folder["d"]], Entries());
        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [LinuxTheory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Dispose_ClosesEverything(bool commit)
    {
        using (var folder = AtomicFolder.Create(_folder["d"]))
        {
            await FillAsync(folder, "a", "b");
            if (commit)
            {
                folder.Commit();
                Assert.Empty(OpenFiles.Below(_folder.Path));
            }
        }

        Assert.Empty(OpenFiles.Below(_folder.Path));
    }

    [Fact]
    public async Task CreateFile_FromManyThreads_KeepsThemAll()
    {
        using var folder = AtomicFolder.Create(_folder["d"]);
        await Parallel.ForAsync(0, 200, async (i, token) => await folder.WriteAllBytesAsync($"f{i}", BitConverter.GetBytes(i), token));
        folder.Commit();
        Assert.Equal(200, Entries("d").Length);
        for (var i = 0; i < 200; i++)
        {
            Assert.Equal(BitConverter.GetBytes(i), File.ReadAllBytes(_folder[$"d/f{i}"]));
        }
    }

    private static RecordingCalls Calls(bool named) => new() { RefuseUnnamed = named };

    private static async Task FillAsync(AtomicFolder folder, params string[] names)
    {
        foreach (var name in names)
        {
            await folder.WriteAllBytesAsync(name, System.Text.Encoding.UTF8.GetBytes(name));
        }
    }

    private string[] Entries(string name = "") =>
        [.. Directory.GetFileSystemEntries(_folder[name].TrimEnd('/')).Order(StringComparer.Ordinal)];
}
