using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>What a killed run leaves is removed by the next one; what a living writer holds is not.</summary>
public sealed class LeftoversTests : IDisposable
{
    private const string Random = "0123456789abcdef0123456789abcdef";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task File_StaleLeftover_IsRemovedByTheNextWriter()
    {
        _folder.Write($".f.{Random}.tmp", "half");
        await AtomicFile.WriteAllBytesAsync(_folder["f"], "new"u8.ToArray());
        Assert.Equal([_folder["f"]], Entries());
    }

    [LinuxFact]
    public void Folder_StaleLeftovers_AreRemovedByTheNextWriter()
    {
        _folder.Write($".d.{Random}.tmp/a/b", "half");
        _folder.Write($".d.{Random[..31]}0.tmp", "a file");
        _folder.Write("d/old", "old");
        _folder.Write($".d.{Random}.old/older", "older");
        using (AtomicFolder.Create(_folder["d"], overwrite: true))
        {
            Assert.Equal([_folder["d"]], Entries());
        }

        Assert.Equal("old", File.ReadAllText(_folder["d/old"]));
    }

    [LinuxFact]
    public void Folder_SetAsideByARunThatWasKilledThen_ComesBack()
    {
        _folder.Write($".d.{Random}.old/only", "copy");
        Assert.Throws<IOException>(() => AtomicFolder.Create(_folder["d"]));
        Assert.Equal([_folder["d"]], Entries());
        Assert.Equal("copy", File.ReadAllText(_folder["d/only"]));
    }

    [LinuxFact]
    public void Link_ThatWasExchanged_IsRemovedAndNotWhatItLeadsTo()
    {
        _folder.Write("other/kept", "kept");
        Directory.CreateSymbolicLink(_folder[$".d.{Random}.tmp"], _folder["other"]);
        File.CreateSymbolicLink(_folder[$".d.{Random[..31]}0.tmp"], _folder["nowhere"]);
        using var folder = AtomicFolder.Create(_folder["d"]);
        Assert.Equal([_folder["other"]], Entries());
        Assert.Equal("kept", File.ReadAllText(_folder["other/kept"]));
    }

    [Theory]
    [InlineData(".g.0123456789abcdef0123456789abcdef.tmp")]
    [InlineData(".f.0123456789abcdef0123456789abcde.tmp")]
    [InlineData(".f.0123456789abcdef0123456789abcdex.tmp")]
    [InlineData(".f.0123456789abcdef0123456789abcdef.new")]
    [InlineData(".ff.0123456789abcdef0123456789abcdef.tmp")]
    [InlineData(".f-0123456789abcdef0123456789abcdef.tmp")]
    [InlineData("f.0123456789abcdef0123456789abcdef.tmp")]
    [InlineData(".f.0123456789abcdef0123456789abcdef.tmp2")]
    [InlineData(".f")]
    public async Task File_NameOfAnotherKind_IsLeftAlone(string name)
    {
        _folder.Write(name, "theirs");
        await AtomicFile.WriteAllBytesAsync(_folder["f"], "new"u8.ToArray());
        Assert.Equal("theirs", File.ReadAllText(_folder[name]));
    }

    [LinuxFact]
    public async Task File_LongAndUnusualNames_HaveTheirLeftoversRemoved()
    {
        // The 64th character of the second is the first half of a surrogate pair.
        foreach (var name in (string[])[new('n', 255), new string('a', 63) + "😀", "a*[b]?.é\n"])
        {
            var killed = AtomicFile.Create(_folder[name], 0, new RecordingCalls { RefuseUnnamed = true, RefuseLocks = true });
            var leftover = Assert.Single(Entries());
            File.Copy(leftover, leftover + "copy");
            await killed.DisposeAsync();
            File.Move(leftover + "copy", leftover);
            await AtomicFile.WriteAllBytesAsync(_folder[name], "new"u8.ToArray());
            Assert.Equal(name, Path.GetFileName(Assert.Single(Entries())));
            File.Delete(_folder[name]);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task File_OfALivingWriter_IsNotDisturbed(bool named)
    {
        await using var first = AtomicFile.Create(_folder["f"], 0, new RecordingCalls { RefuseUnnamed = named });
        first.Write(0, "first"u8);
        await AtomicFile.WriteAllBytesAsync(_folder["f"], "second"u8.ToArray());
        Assert.Equal("second", File.ReadAllText(_folder["f"]));
        await first.CommitAsync();
        Assert.Equal("first", File.ReadAllText(_folder["f"]));
        Assert.Equal([_folder["f"]], Entries());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Folder_OfALivingWriter_IsNotDisturbed(bool named)
    {
        using var first = AtomicFolder.Create(_folder["d"], overwrite: true, new RecordingCalls { RefuseUnnamed = named });
        await first.WriteAllBytesAsync("first", new byte[1]);
        using (var second = AtomicFolder.Create(_folder["d"], overwrite: true, new RecordingCalls { RefuseUnnamed = named }))
        {
            await second.WriteAllBytesAsync("second", new byte[1]);
            second.Commit();
        }

        Assert.Equal([_folder["d/second"]], Directory.GetFileSystemEntries(_folder["d"]));
        first.Commit();
        Assert.Equal([_folder["d/first"]], Directory.GetFileSystemEntries(_folder["d"]));
        Assert.Equal([_folder["d"]], Entries());
    }

    [LinuxTheory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Writer_WhoseHiddenEntryIsTakenForALeftoverBeforeItsLock_TakesAnother(bool folder)
    {
        var calls = new RecordingCalls { RefuseUnnamed = true };
        using var output = AtomicFolder.Create(_folder["d"], overwrite: false, calls);
        calls.BeforeLock = () =>
        {
            foreach (var entry in Entries())
            {
                Directory.Delete(entry, recursive: true);
            }
        };
        if (!folder)
        {
            calls.BeforeLock = () => File.Delete(Assert.Single(Entries()));
            await using var file = AtomicFile.Create(_folder["f"], 0, calls);
            await file.CommitAsync();
            Assert.Equal([_folder["f"]], Entries());
            return;
        }

        await output.WriteAllBytesAsync("a", new byte[1]);
        output.Commit();
        Assert.Equal([_folder["d/a"]], Directory.GetFileSystemEntries(_folder["d"]));
        Assert.Equal([_folder["d"]], Entries());
    }

    [Fact]
    public async Task File_WhereNothingCanBeLocked_LeavesWhatMayBeAnothers()
    {
        _folder.Write($".f.{Random}.tmp", "half");
        await using (var file = AtomicFile.Create(_folder["f"], 0, new RecordingCalls { RefuseLocks = true }))
        {
            await file.CommitAsync();
        }

        Assert.Equal("half", File.ReadAllText(_folder[$".f.{Random}.tmp"]));
    }

    [LinuxFact]
    public async Task File_ThatAReaderOpensWhileItsWriterHoldsIt_IsNotRefused()
    {
        // Readers lock what they open, shared; so does a writer between giving a name and closing.
        await using var file = AtomicFile.Create(_folder["f"], 0, new RecordingCalls { RefuseUnnamed = true });
        using var reader = File.OpenHandle(Assert.Single(Entries()), FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        Assert.Equal(0, RandomAccess.GetLength(reader));
    }

    private string[] Entries() => [.. Directory.GetFileSystemEntries(_folder.Path).Order(StringComparer.Ordinal)];
}
