using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The order of the calls: content on disk before a name, the name before its folder, whatever the system has.</summary>
public sealed class OutputOrderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    // The folder's own name has a random ending.
    private string Root { get; } = "ilgpu";

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public async Task File_WithoutAName_IsFlushedLinkedAndItsFolderFlushed()
    {
        Assert.Equal(
            ["open unnamed", "flush file", "link f: Linked", $"flush folder {Root}"], await WriteFileAsync(new RecordingCalls()));
    }

    [LinuxFact]
    public async Task File_WithoutANameOverAnother_IsLinkedAsideAndRenamed()
    {
        _folder.Write("f", "old");
        Assert.Equal(
            ["open unnamed", "flush file", "link f: NameTaken", "link hidden: Linked", "move hidden f", $"flush folder {Root}"],
            await WriteFileAsync(new RecordingCalls()));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task File_UnderAHiddenName_IsFlushedRenamedAndItsFolderFlushed(bool over)
    {
        if (over)
        {
            _folder.Write("f", "old");
        }

        Assert.Equal(
            ["open unnamed", "flush file", "move hidden f", $"flush folder {Root}"],
            await WriteFileAsync(new RecordingCalls { RefuseUnnamed = true }));
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task File_ThatCannotBeLinked_IsCopiedFlushedAndRenamed(bool over)
    {
        if (over)
        {
            _folder.Write("f", "old");
        }

        Assert.Equal(
            ["open unnamed", "flush file", "link f: Refused", "flush file", "move hidden f", $"flush folder {Root}"],
            await WriteFileAsync(new RecordingCalls { RefuseLink = true }));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task File_ThatCannotBeFlushed_GetsNoName(bool named)
    {
        var calls = new RecordingCalls { RefuseUnnamed = named, FailFlush = true };
        await using (var file = AtomicFile.Create(_folder["f"], 3, calls))
        {
            await Assert.ThrowsAsync<IOException>(async () => await file.CommitAsync());
        }

        Assert.Equal(["open unnamed", "flush file"], calls.Steps);
        Assert.Empty(Directory.GetFileSystemEntries(_folder.Path));
    }

    [LinuxFact]
    public async Task Folder_OfFilesWithoutNames_IsLinkedFlushedAndRenamed()
    {
        Assert.Equal(
            [
                "open unnamed", "flush file", "open unnamed", "flush file",
                "link a: Linked", "link b: Linked", "flush folder hidden", "move hidden d", $"flush folder {Root}",
            ],
            await WriteFolderAsync(new RecordingCalls()));
    }

    [LinuxFact]
    public void Folder_BelowFoldersThatItMakes_HasTheirNamesFlushedToo()
    {
        var calls = new RecordingCalls();
        using (var folder = AtomicFolder.Create(_folder["p/q/d"], overwrite: false, calls))
        {
            folder.Commit();
        }

        Assert.Equal(
            ["flush folder hidden", "move hidden d", "flush folder q", "flush folder p", $"flush folder {Root}"], calls.Steps);
    }

    [LinuxFact]
    public async Task Folder_OverAnother_ChangesPlacesWithIt()
    {
        _folder.Write("d/old", "old");
        Assert.Equal(
            ["flush folder hidden", "exchange hidden d", $"flush folder {Root}", "delete hidden"],
            (await WriteFolderAsync(new RecordingCalls())).TakeLast(4));
    }

    [Fact]
    public async Task Folder_OfHiddenFiles_IsFlushedAndRenamed()
    {
        Assert.Equal(
            [
                "open unnamed", "flush file", "open unnamed", "flush file",
                "flush folder hidden", "move hidden d", $"flush folder {Root}",
            ],
            await WriteFolderAsync(new RecordingCalls { RefuseUnnamed = true }));
    }

    [Fact]
    public async Task Folder_OverAnotherWithoutExchange_SetsItAside()
    {
        _folder.Write("d/old", "old");
        Assert.Equal(
            ["flush folder hidden", "exchange hidden d", "move d aside", "move hidden d", $"flush folder {Root}", "delete aside"],
            (await WriteFolderAsync(new RecordingCalls { RefuseExchange = true })).TakeLast(6));
    }

    [LinuxFact]
    public async Task Folder_OfFilesThatCannotBeLinked_HasCopiesOfThem()
    {
        var steps = await WriteFolderAsync(new RecordingCalls { RefuseLink = true });
        Assert.Equal(["link a: Refused", "flush file", "move new hidden a: Linked", "link b: Refused"], steps.Skip(4).Take(4));
    }

    private async Task<IReadOnlyList<string>> WriteFileAsync(RecordingCalls calls)
    {
        // More than one piece of a copy, and not whole ones.
        var content = new byte[(2 << 20) + 5];
        new Random(1).NextBytes(content);
        await using (var file = AtomicFile.Create(_folder["f"], 7, calls))
        {
            file.Write(0, content);
            await file.CommitAsync();
        }

        Assert.Equal(content, File.ReadAllBytes(_folder["f"]));
        Assert.Equal([_folder["f"]], Directory.GetFileSystemEntries(_folder.Path));
        return calls.Steps;
    }

    private async Task<IReadOnlyList<string>> WriteFolderAsync(RecordingCalls calls)
    {
        using (var folder = AtomicFolder.Create(_folder["d"], overwrite: true, calls))
        {
            await folder.WriteAllBytesAsync("b", "bb"u8.ToArray());
            await folder.WriteAllBytesAsync("a", "a"u8.ToArray());
            folder.Commit();
        }

        Assert.Equal("a", File.ReadAllText(_folder["d/a"]));
        Assert.Equal("bb", File.ReadAllText(_folder["d/b"]));
        Assert.Equal(2, Directory.GetFileSystemEntries(_folder["d"]).Length);
        Assert.Equal([_folder["d"]], Directory.GetFileSystemEntries(_folder.Path));
        return calls.Steps;
    }
}
