using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Missing folders above an output folder: made when they are needed, and gone again without it.</summary>
public sealed class FoldersAboveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Commit_MakesThem(bool named)
    {
        using var folder = AtomicFolder.Create(_folder["p/q/d"], overwrite: false, new RecordingCalls { RefuseUnnamed = named });
        await folder.WriteAllBytesAsync("a", new byte[1]);
        folder.Commit();
        Assert.Equal([_folder["p/q/d/a"]], Entries("p/q/d"));
        Assert.Equal([_folder["p/q/d"]], Entries("p/q"));
        Assert.Equal([_folder["p/q"]], Entries("p"));
    }

    [LinuxFact]
    public async Task BeforeCommit_NothingIsThereThatAKillWouldLeave()
    {
        using var folder = AtomicFolder.Create(_folder["p/q/d"]);
        await folder.WriteAllBytesAsync("a", new byte[1]);
        Assert.Empty(Entries(""));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Dispose_WithoutCommit_LeavesNoneOfThem(bool named)
    {
        Directory.CreateDirectory(_folder["was"]);
        using (var folder = AtomicFolder.Create(_folder["was/p/q/d"], overwrite: false, new RecordingCalls { RefuseUnnamed = named }))
        {
            await folder.WriteAllBytesAsync("a", new byte[1]);
        }

        Assert.Equal([_folder["was"]], Entries(""));
        Assert.Empty(Entries("was"));
    }

    [Fact]
    public async Task Dispose_AfterACommitThatFailed_LeavesNoneOfThem()
    {
        using (var folder = AtomicFolder.Create(_folder["p/q/d"], overwrite: false, new RecordingCalls { FailingFolderMove = 1 }))
        {
            await folder.WriteAllBytesAsync("a", new byte[1]);
            Assert.Throws<IOException>(folder.Commit);
        }

        Assert.Empty(Entries(""));
    }

    [Fact]
    public async Task Dispose_WhenSomethingElseCameIntoThem_LeavesThat()
    {
        using (var folder = AtomicFolder.Create(_folder["p/q/d"], overwrite: false, new RecordingCalls { RefuseUnnamed = true }))
        {
            await folder.WriteAllBytesAsync("a", new byte[1]);
            _folder.Write("p/theirs", "theirs");
        }

        Assert.Equal([_folder["p/theirs"]], Entries("p"));
    }

    [Fact]
    public async Task Commit_WhenAnotherRunHasMadeAndRemovedThem_MakesThemAgain()
    {
        using var folder = AtomicFolder.Create(_folder["p/q/d"]);
        await folder.WriteAllBytesAsync("a", new byte[1]);
        using (var other = AtomicFolder.Create(_folder["p/q/e"], overwrite: false, new RecordingCalls { RefuseUnnamed = true }))
        {
            await other.WriteAllBytesAsync("b", new byte[1]);
        }

        folder.Commit();
        Assert.Equal([_folder["p/q/d/a"]], Entries("p/q/d"));
    }

    [LinuxFact]
    public void Create_BelowALinkToNothing_IsRefusedBeforeAnyWork()
    {
        Directory.CreateSymbolicLink(_folder["p"], "missing");
        var exception = Assert.Throws<DirectoryNotFoundException>(() => AtomicFolder.Create(_folder["p/q/d"]));
        Assert.Equal($"{_folder["p/q/d"]}: {_folder["p"]} is a link to a folder that does not exist; make that first.", exception.Message);
    }

    private string[] Entries(string name) =>
        [.. Directory.GetFileSystemEntries(_folder[name].TrimEnd('/')).Order(StringComparer.Ordinal)];
}
