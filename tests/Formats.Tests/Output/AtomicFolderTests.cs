using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class AtomicFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Commit_SomethingCameToTheTargetMeanwhile_IsKeptAndNamed()
    {
        using var folder = new TemporaryFolder();
        using (var output = AtomicFolder.Create(folder["model"]))
        {
            File.WriteAllText(Path.Combine(output.TemporaryPath, "ours"), "ours");
            folder.Write("model/theirs", "theirs");
            var exception = Assert.Throws<IOException>(output.Commit);
            Assert.StartsWith(folder["model"] + ": ", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal([folder["model"]], Directory.GetFileSystemEntries(folder.Path));
        Assert.Equal("theirs", File.ReadAllText(folder["model/theirs"]));
    }

    [Fact]
    public void Commit_MakesTheFolderAppearWhole_AndNotBefore()
    {
        using var folder = AtomicFolder.Create(_folder["d"]);
        Fill(folder, "a", "b");
        Assert.Equal(_folder["d"], folder.Path);
        Assert.False(Directory.Exists(_folder["d"]));
        folder.Commit();
        Assert.Equal([_folder["d/a"], _folder["d/b"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public void Dispose_WithoutCommit_LeavesNothing()
    {
        var folder = AtomicFolder.Create(_folder["d"]);
        Fill(folder, "a");
        Directory.CreateDirectory(Path.Combine(folder.TemporaryPath, "inner"));
        folder.Dispose();
        folder.Dispose();
        Assert.Empty(Entries());
    }

    [Fact]
    public void Dispose_AfterCommit_KeepsTheFolder()
    {
        var folder = AtomicFolder.Create(_folder["d"]);
        Fill(folder, "a");
        folder.Commit();
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
    public void Create_EmptyFolder_IsAccepted(bool overwrite)
    {
        Directory.CreateDirectory(_folder["d"]);
        using var folder = AtomicFolder.Create(_folder["d"], overwrite);
        Fill(folder, "a");
        Assert.Empty(Entries("d"));
        folder.Commit();
        Assert.Equal([_folder["d/a"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public void Commit_WithOverwrite_ReplacesTheWholeFolder()
    {
        _folder.Write("d/old", "old");
        _folder.Write("d/inner/old", "old");
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: true);
        Fill(folder, "new");
        Assert.Equal("old", File.ReadAllText(_folder["d/old"]));
        folder.Commit();
        Assert.Equal([_folder["d/new"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public void Dispose_WithOverwriteAndWithoutCommit_KeepsTheOldFolder()
    {
        _folder.Write("d/old", "old");
        var folder = AtomicFolder.Create(_folder["d"], overwrite: true);
        Fill(folder, "new");
        folder.Dispose();
        Assert.Equal([_folder["d/old"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public void Commit_WhenTheEmptyFolderHasBeenFilledSince_ThrowsAndLosesNothing()
    {
        Directory.CreateDirectory(_folder["d"]);
        using (var folder = AtomicFolder.Create(_folder["d"]))
        {
            Fill(folder, "new");
            _folder.Write("d/theirs", "theirs");
            Assert.Throws<IOException>(folder.Commit);
        }

        Assert.Equal([_folder["d/theirs"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public void Commit_WhenWhatWasWrittenIsGone_ThrowsAndKeepsTheOldFolder()
    {
        _folder.Write("d/old", "old");
        using var folder = AtomicFolder.Create(_folder["d"], overwrite: true);
        Directory.Delete(folder.TemporaryPath);
        Assert.ThrowsAny<IOException>(folder.Commit);
        Assert.Equal([_folder["d/old"]], Entries("d"));
        Assert.Equal([_folder["d"]], Entries());
    }

    [LinuxFact]
    public void Commit_OverALinkToAFolder_ReplacesTheLinkOnly()
    {
        _folder.Write("other/kept", "kept");
        Directory.CreateSymbolicLink(_folder["f"], _folder["other"]);
        using (var folder = AtomicFolder.Create(_folder["f"], overwrite: true))
        {
            folder.Commit();
        }

        Assert.Equal("kept", File.ReadAllText(_folder["other/kept"]));
        Assert.Null(new DirectoryInfo(_folder["f"]).LinkTarget);
        Assert.Empty(Directory.GetFileSystemEntries(_folder["f"]));
    }

    [Fact]
    public void Create_InAFolderThatIsMissing_MakesIt()
    {
        using var folder = AtomicFolder.Create(_folder["p/q/d"]);
        Fill(folder, "a");
        folder.Commit();
        Assert.Equal([_folder["p/q/d/a"]], Entries("p/q/d"));
        Assert.Equal([_folder["p/q/d"]], Entries("p/q"));
    }

    [Fact]
    public void Create_PathWithASeparatorAtTheEnd_MeansTheFolder()
    {
        using var folder = AtomicFolder.Create(_folder["d"] + Path.DirectorySeparatorChar);
        Fill(folder, "a");
        folder.Commit();
        Assert.Equal(_folder["d"], folder.Path);
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public void Create_WithoutAPath_IsRefused() => Assert.Throws<ArgumentException>("path", () => AtomicFolder.Create(""));

    private static void Fill(AtomicFolder folder, params string[] names)
    {
        foreach (var name in names)
        {
            File.WriteAllText(Path.Combine(folder.TemporaryPath, name), name);
        }
    }

    private string[] Entries(string name = "") =>
        [.. Directory.GetFileSystemEntries(_folder[name].TrimEnd('/')).Order(StringComparer.Ordinal)];
}
