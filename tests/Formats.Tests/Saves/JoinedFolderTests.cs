using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

public sealed class JoinedFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Target => _folder["out"];

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Finish_TheLastMember_MakesTheFolderAppearWithTheFilesOfAll()
    {
        Assert.Equal([0, 2], await Share.SaveAsync(Target, "a", 1, 3));
        Assert.False(Directory.Exists(Target));
        Assert.Equal([2], await Share.SaveAsync(Target, "a", 0, 3));
        Assert.Equal([_folder[".out.save-a"]], Entries());
        Assert.Empty(await Share.SaveAsync(Target, "a", 2, 3));
        Assert.Equal("a", await Share.WholeAsync(Target));
        Assert.Equal([Target], Entries());
        Assert.Equal(Share.Content("a", 2, 1), await File.ReadAllBytesAsync(Path.Combine(Target, Share.Name(2, 1))));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Finish_OverAnotherState_ReplacesItAsAWhole(bool aside)
    {
        Assert.Empty(await Share.SaveAsync(Target, "a", 0, 1, parts: 5));
        var calls = new RecordingCalls { RefuseExchange = aside };
        Assert.Empty(await Share.SaveAsync(Target, "b", 0, 1, parts: 1, calls: calls));
        Assert.Equal("b", await Share.WholeAsync(Target));
        Assert.Equal([Target], Entries());
    }

    [Fact]
    public async Task Join_TwoMembersAtOnce_AreBothIn()
    {
        await using var one = await JoinedFolder.JoinAsync(Target, "a", 0, 2);
        await using var other = await JoinedFolder.JoinAsync(Target, "a", 1, 2);
        await Share.WriteAsync(one, "a", 0, 3);
        await Share.WriteAsync(other, "a", 1, 1);
        Assert.Equal([1], await Share.FinishAsync(one, "a", 0, 2, 3));
        Assert.Empty(await Share.FinishAsync(other, "a", 1, 2, 1));
        Assert.Equal("a", await Share.WholeAsync(Target));
        await one.DisposeAsync();
        Assert.Equal("a", await Share.WholeAsync(Target));
    }

    [Fact]
    public async Task Join_AgainWithTheSameIdentifier_ReplacesTheMembersOwnShareOnly()
    {
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2, parts: 4));
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2, parts: 1));
        Assert.Equal(["0-0.bin", "rank-0.json"], Directory.EnumerateFiles(_folder[".out.save-a"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        Assert.Empty(await Share.SaveAsync(Target, "a", 1, 2));
        Assert.Equal("a", await Share.WholeAsync(Target));
    }

    [Fact]
    public async Task Finish_FilesThatNoRecordLists_DoNotComeIntoTheTarget()
    {
        // As a member leaves them that is killed before its record.
        _folder.Write(".out.save-a/0-9.bin", "stale");
        Assert.Empty(await Share.SaveAsync(Target, "a", 0, 1));
        Assert.Equal("a", await Share.WholeAsync(Target));
    }

    [Fact]
    public async Task Dispose_WithoutFinish_RemovesTheMembersFilesAndTheEmptyFolder()
    {
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2));
        await using (var folder = await JoinedFolder.JoinAsync(Target, "a", 1, 2))
        {
            await Share.WriteAsync(folder, "a", 1, 2);
        }

        Assert.Equal(["0-0.bin", "0-1.bin", "rank-0.json"], Directory.EnumerateFiles(_folder[".out.save-a"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        await using (var folder = await JoinedFolder.JoinAsync(Target, "a", 0, 2))
        {
            await Share.WriteAsync(folder, "a", 0, 1);
            await folder.DisposeAsync();
            Assert.Throws<ObjectDisposedException>(() => folder.CreateFile("late"));
        }

        Assert.Empty(Entries());
    }

    [Fact]
    public async Task Dispose_WithoutFinish_LeavesTheFolderToTheMemberThatIsStillIn()
    {
        await using var one = await JoinedFolder.JoinAsync(Target, "a", 0, 2);
        await (await JoinedFolder.JoinAsync(Target, "a", 1, 2)).DisposeAsync();
        await Share.WriteAsync(one, "a", 0, 1);
        Assert.Equal([1], await Share.FinishAsync(one, "a", 0, 2, 1));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Join_AMemberThatIsAtWorkElsewhere_IsRefusedAndTheFirstStays(bool foldersCannotBeLocked)
    {
        var calls = new RecordingCalls { RefuseFolders = foldersCannotBeLocked };
        await using (var one = await JoinedFolder.JoinAsync(Target, "a", 0, 1, overwrite: true, calls, default))
        {
            await Share.WriteAsync(one, "a", 0, 1);
            var exception = await Assert.ThrowsAsync<IOException>(() => JoinedFolder.JoinAsync(Target, "a", 0, 1, overwrite: true, calls, default));
            Assert.StartsWith($"{Target}: rank 0 of the save 'a' is being written", exception.Message, StringComparison.Ordinal);
            Assert.Empty(await Share.FinishAsync(one, "a", 0, 1, 1));
            Assert.Equal("a", await Share.WholeAsync(Target));
        }

        // Ended in any way, it is over.
        await (await JoinedFolder.JoinAsync(Target, "a", 0, 1, overwrite: true, calls, default)).DisposeAsync();
        Assert.Empty(await Share.SaveAsync(Target, "a", 0, 1, calls: calls));
        Assert.Equal([Target], Entries());
    }

    [Fact]
    public async Task Finish_TheLockOfAMemberThatWasKilled_DoesNotComeIntoTheTarget()
    {
        _folder.Write(".out.save-a/.rank-0.lock", "");
        _folder.Write(".out.save-a/.rank-7.lock", "");
        Assert.Empty(await Share.SaveAsync(Target, "a", 0, 1));
        Assert.Equal("a", await Share.WholeAsync(Target));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Held_TheSharesBetweenTwoMembers_StayWhenAnotherSaveIsComplete(bool foldersCannotBeLocked)
    {
        var calls = new RecordingCalls { RefuseFolders = foldersCannotBeLocked };
        await using (await HeldSave.TakeAsync(Target, "a", calls, default))
        {
            Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2, calls: calls));
            Assert.Empty(await Share.SaveAsync(Target, "other", 0, 1, calls: calls));
            Assert.Empty(await Share.SaveAsync(Target, "a", 1, 2, calls: calls));
            Assert.Equal("a", await Share.WholeAsync(Target));
        }

        Assert.Equal([Target], Entries());
        // Without a hold they are taken for abandoned.
        Assert.Equal([1], await Share.SaveAsync(Target, "b", 0, 2, calls: calls));
        Assert.Empty(await Share.SaveAsync(Target, "other", 0, 1, calls: calls));
        Assert.Equal([0], await Share.SaveAsync(Target, "b", 1, 2, calls: calls));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Held_WithoutAMember_LeavesNothing(bool foldersCannotBeLocked)
    {
        await using (await HeldSave.TakeAsync(_folder["p/out"], "a", new RecordingCalls { RefuseFolders = foldersCannotBeLocked }, default))
        {
            Assert.True(Directory.Exists(_folder["p/.out.save-a"]));
        }

        Assert.Empty(Entries());
        await Assert.ThrowsAsync<ArgumentException>(() => HeldSave.TakeAsync(Target, "a/b"));
    }

    [Fact]
    public async Task Dispose_WhereFoldersCannotBeLocked_LeavesTheFolderToAMemberThatHasWrittenNothing()
    {
        var calls = new RecordingCalls { RefuseFolders = true };
        await using var one = await JoinedFolder.JoinAsync(Target, "a", 0, 2, overwrite: true, calls, default);
        await (await JoinedFolder.JoinAsync(Target, "a", 1, 2, overwrite: true, calls, default)).DisposeAsync();
        Assert.Empty(await Share.SaveAsync(Target, "other", 0, 1, calls: calls));
        await Share.WriteAsync(one, "a", 0, 1);
        Assert.Equal([1], await Share.FinishAsync(one, "a", 0, 2, 1));
        await one.DisposeAsync();
        Assert.Empty(await Share.SaveAsync(Target, "other", 0, 1, calls: calls));
        Assert.Equal([Target], Entries());
    }

    [Fact]
    public async Task Finish_MembersThatSawOtherConfigurations_AreRefusedWithTheFile()
    {
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2));
        await using var folder = await JoinedFolder.JoinAsync(Target, "a", 1, 2);
        var record = new RankManifest("a", 1, 2, Share.Pattern, [], new TensorManifest([]), [Share.Carried("b")]);
        var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => folder.FinishAsync(record.ToBytes()));
        Assert.Equal(CheckpointErrorCode.ManifestInvalid, exception.Code);
        Assert.Contains("'config.json'", exception.Message, StringComparison.Ordinal);
        Assert.Contains(Share.Carried("b").Sha256, exception.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public async Task Finish_WithoutTheFilesThatTheRecordsListBeside_IsRefused()
    {
        await using var folder = await JoinedFolder.JoinAsync(Target, "a", 0, 1);
        var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => folder.FinishAsync(Share.Record("a", 0, 1, 0).ToBytes()));
        Assert.Contains("'config.json'", exception.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Target));
    }

    [LinuxFact]
    public async Task Dispose_AShareThatCannotBeRemoved_LeavesTheFirstErrorToTheCaller()
    {
        var calls = new RecordingCalls();
        var exception = await Assert.ThrowsAsync<InvalidDataException>(async () =>
        {
            await using var folder = await JoinedFolder.JoinAsync(Target, "a", 0, 1, overwrite: true, calls, default);
            await Share.WriteAsync(folder, "a", 0, 1);
            calls.FailDelete = true;
            throw new InvalidDataException("the first");
        });
        Assert.Equal("the first", exception.Message);
        Assert.Empty(await Share.SaveAsync(Target, "a", 0, 1));
        Assert.Equal([Target], Entries());
    }

    [Fact]
    public async Task Join_FoldersAboveThatAreMissing_AreMadeAndRemovedWithoutFinish()
    {
        await using (await JoinedFolder.JoinAsync(_folder["p/q/out"], "a", 0, 1))
        {
            Assert.True(Directory.Exists(_folder["p/q"]));
        }

        Assert.Empty(Entries());
        Assert.Equal([1], await Share.SaveAsync(_folder["p/q/out"], "a", 0, 2));
        Assert.True(Directory.Exists(_folder["p/q/.out.save-a"]));
    }

    [Fact]
    public async Task Join_AnotherSavesSharesThatNobodyHolds_StayUntilASaveIsComplete()
    {
        Assert.Equal([1], await Share.SaveAsync(Target, "one", 0, 2));
        Assert.Equal([1], await Share.SaveAsync(Target, "two", 0, 2));
        Assert.Equal([_folder[".out.save-one"], _folder[".out.save-two"]], Entries());
        Assert.Empty(await Share.SaveAsync(Target, "one", 1, 2));
        Assert.Equal([Target], Entries());
        Assert.Equal("one", await Share.WholeAsync(Target));
    }

    [LinuxFact]
    public async Task Finish_AnotherSaveThatAMemberHolds_Stays()
    {
        await using var held = await JoinedFolder.JoinAsync(Target, "held", 0, 1, overwrite: true);
        await Share.WriteAsync(held, "held", 0, 1);
        Assert.Empty(await Share.SaveAsync(Target, "a", 0, 1));
        Assert.Equal([_folder[".out.save-held"], Target], Entries());
        Assert.Empty(await Share.FinishAsync(held, "held", 0, 1, 1));
        Assert.Equal("held", await Share.WholeAsync(Target));
        Assert.Equal([Target], Entries());
    }

    [Fact]
    public async Task Finish_SavesOfOtherTargets_Stay()
    {
        // Names that begin as this target's and go on as a save's.
        string[] others = ["out.save-x", "out2", new string('o', 70)];
        foreach (var other in others)
        {
            Assert.Equal([1], await Share.SaveAsync(_folder[other], "a", 0, 2));
        }

        Assert.Empty(await Share.SaveAsync(Target, "b", 0, 1));
        Assert.Empty(await Share.SaveAsync(_folder[new string('o', 71)], "b", 0, 1));
        foreach (var other in others)
        {
            Assert.Empty(await Share.SaveAsync(_folder[other], "a", 1, 2));
            Assert.Equal("a", await Share.WholeAsync(_folder[other]));
        }
    }

    [Fact]
    public async Task Finish_WithoutOverwrite_KeepsWhatCameToTheTargetMeanwhileAndTheOthersShares()
    {
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2));
        await using (var folder = await JoinedFolder.JoinAsync(Target, "a", 1, 2))
        {
            await Share.WriteAsync(folder, "a", 1, 1);
            _folder.Write("out/theirs", "theirs");
            var exception = await Assert.ThrowsAsync<IOException>(() => Share.FinishAsync(folder, "a", 1, 2, 1));
            Assert.StartsWith(Target + ": ", exception.Message, StringComparison.Ordinal);
        }

        Assert.Equal("theirs", File.ReadAllText(_folder["out/theirs"]));
        Assert.True(File.Exists(_folder[".out.save-a/rank-0.json"]));
        Assert.False(File.Exists(_folder[".out.save-a/rank-1.json"]));
        await Assert.ThrowsAsync<IOException>(() => JoinedFolder.JoinAsync(Target, "a", 1, 2));
        Assert.Empty(await Share.SaveAsync(Target, "a", 1, 2));
        Assert.Equal("a", await Share.WholeAsync(Target));
    }

    [Fact]
    public async Task Finish_ByTheCallThatAnotherWonMeanwhile_IsContent()
    {
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2));
        await using var slow = await JoinedFolder.JoinAsync(Target, "a", 1, 2, overwrite: true, new RecordingCalls { RefuseLocks = true }, default);
        await Share.WriteAsync(slow, "a", 1, 2);
        // A file system without locks: another process commits while this one looks.
        Assert.Empty(await slow.FinishAsync(Share.Record("a", 1, 2, 2).ToBytes(), async (beside, token) =>
        {
            await File.WriteAllTextAsync(_folder[".out.save-a/" + Share.Config], "a", token);
            // What no record lists goes before.
            File.Delete(_folder[".out.save-a/.rank-1.lock"]);
            Directory.Move(_folder[".out.save-a"], Target);
            await beside.WriteAllBytesAsync(Share.Config, "a"u8.ToArray(), token);
        }));
        Assert.Equal("a", await Share.WholeAsync(Target));
    }

    [Fact]
    public async Task Finish_TheSharesAreGoneAndTheTargetIsOld_SaysSo()
    {
        Assert.Empty(await Share.SaveAsync(Target, "old", 0, 1));
        var calls = new RecordingCalls { WaitsAtOnce = true };
        await using var folder = await JoinedFolder.JoinAsync(Target, "a", 0, 1, overwrite: true, calls, default);
        var exception = await Assert.ThrowsAsync<IOException>(() => folder.FinishAsync(Share.Record("a", 0, 1, 0).ToBytes(), (_, _) =>
        {
            Directory.Delete(_folder[".out.save-a"], recursive: true);
            throw new DirectoryNotFoundException("gone");
        }));
        Assert.StartsWith(Target + ": ", exception.Message, StringComparison.Ordinal);
        Assert.Equal(TimeSpan.FromSeconds(5), calls.Waited);
        Assert.Equal("old", await Share.WholeAsync(Target));
    }

    [Fact]
    public async Task Finish_ARecordThatIsNotOfTheseFiles_IsRefused()
    {
        await using var folder = await JoinedFolder.JoinAsync(Target, "a", 0, 2);
        await Share.WriteAsync(folder, "a", 0, 2);
        foreach (var record in (RankManifest[])[
            Share.Record("b", 0, 2, 2), Share.Record("a", 1, 2, 2), Share.Record("a", 0, 3, 2), Share.Record("a", 0, 2, 1), Share.Record("a", 0, 2, 3)])
        {
            await Assert.ThrowsAsync<ArgumentException>(() => folder.FinishAsync(record.ToBytes()));
        }

        await Assert.ThrowsAsync<ArgumentException>(() => folder.FinishAsync("{}"u8.ToArray()));
        await using (folder.CreateFile("open"))
        {
            await Assert.ThrowsAsync<InvalidOperationException>(() => folder.FinishAsync(Share.Record("a", 0, 2, 2).ToBytes()));
        }

        Assert.Equal(1, Assert.Single(await folder.FinishAsync(Share.Record("a", 0, 2, 2).ToBytes())));
        await Assert.ThrowsAsync<ObjectDisposedException>(() => folder.FinishAsync(Share.Record("a", 0, 2, 2).ToBytes()));
    }

    [Fact]
    public async Task Finish_RecordsOfAnotherWorldOrWithFilesInCommon_AreRefusedAndTheTargetStays()
    {
        Assert.Empty(await Share.SaveAsync(Target, "old", 0, 1));
        Assert.Equal([1, 2], await Share.SaveAsync(Target, "a", 0, 3));
        await AssertRefusedAsync("rank 0");
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2));
        File.Delete(_folder[".out.save-a/0-1.bin"]);
        await AssertRefusedAsync("'0-1.bin'");
        Assert.Equal([1], await Share.SaveAsync(Target, "a", 0, 2));
        await using (var folder = await JoinedFolder.JoinAsync(Target, "a", 1, 2, overwrite: true))
        {
            await Share.WriteAsync(folder, "a", 0, 2);
            var record = new RankManifest("a", 1, 2, Share.Pattern, Share.Record("a", 0, 2, 2).Files, new TensorManifest([]), [Share.Carried("a")]);
            var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => folder.FinishAsync(record.ToBytes()));
            Assert.Equal(CheckpointErrorCode.ManifestInvalid, exception.Code);
        }

        Assert.Equal("old", await Share.WholeAsync(Target));

        async Task AssertRefusedAsync(string part)
        {
            var exception = await Assert.ThrowsAsync<InvalidCheckpointException>(() => Share.SaveAsync(Target, "a", 1, 2));
            Assert.Equal(CheckpointErrorCode.ManifestInvalid, exception.Code);
            Assert.Contains(part, exception.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Finish_CancelledBeforeTheExchange_LeavesTheTargetAndNothingElse()
    {
        Assert.Empty(await Share.SaveAsync(Target, "old", 0, 1));
        using var cancellation = new CancellationTokenSource();
        await using (var folder = await JoinedFolder.JoinAsync(Target, "a", 0, 1, overwrite: true))
        {
            await Share.WriteAsync(folder, "a", 0, 1);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => folder.FinishAsync(
                Share.Record("a", 0, 1, 1).ToBytes(), (_, _) => cancellation.CancelAsync(), cancellation.Token));
        }

        Assert.Equal("old", await Share.WholeAsync(Target));
        Assert.Equal([Target], Entries().Where(entry => !Directory.Exists(entry) || Directory.EnumerateFileSystemEntries(entry).Any()));
    }

    [Fact]
    public async Task CreateFile_NamesOfRecordsPathsAndOfOtherFiles_AreRefused()
    {
        await using var folder = await JoinedFolder.JoinAsync(Target, "a", 0, 1);
        foreach (var name in (string[])["", ".", "..", "a/b", "a\\b", "rank-0.json", "rank-7.json", "Rank-7.JSON", ".rank-0.lock"])
        {
            Assert.ThrowsAny<ArgumentException>(() => folder.CreateFile(name));
        }

        await Share.WriteAsync(folder, "a", 0, 1);
        Assert.Throws<ArgumentException>(() => folder.CreateFile(Share.Name(0, 0)));
        await folder.FinishAsync(Share.Record("a", 0, 1, 1).ToBytes(), (beside, token) =>
        {
            Assert.Throws<ArgumentException>(() => beside.CreateFile(Share.Name(0, 0)));
            return beside.WriteAllBytesAsync(Share.Config, "a"u8.ToArray(), token);
        });
        Assert.Equal("a", await Share.WholeAsync(Target));
    }

    [Theory]
    [InlineData("")]
    [InlineData(".a")]
    [InlineData("a/b")]
    [InlineData("ä")]
    [InlineData("a b")]
    [InlineData("a.tmp")]
    [InlineData("a.old")]
    [InlineData("a.save-b")]
    [InlineData("12345678901234567890123456789012345678901234567890123456789012345")]
    public async Task Join_AnIdentifierThatIsNone_IsRefused(string id) =>
        await Assert.ThrowsAsync<ArgumentException>(nameof(id), () => JoinedFolder.JoinAsync(Target, id, 0, 1));

    [Fact]
    public async Task Join_ALinkAtTheEnd_IsFollowed()
    {
        Assert.Empty(await Share.SaveAsync(_folder["real/out"], "a", 0, 1));
        Directory.CreateSymbolicLink(Target, _folder["real/out"]);
        Assert.Empty(await Share.SaveAsync(Target, "b", 0, 1));
        Assert.Equal(_folder["real/out"], new FileInfo(Target).LinkTarget);
        Assert.Equal("b", await Share.WholeAsync(_folder["real/out"]));
    }

    [Fact]
    public async Task Join_AFileOrAFolderThatIsNotEmpty_IsRefusedAndUntouched()
    {
        _folder.Write("file", "a file");
        _folder.Write("full/theirs", "theirs");
        await Assert.ThrowsAsync<IOException>(() => JoinedFolder.JoinAsync(_folder["file"], "a", 0, 1, overwrite: true));
        await Assert.ThrowsAsync<IOException>(() => JoinedFolder.JoinAsync(_folder["full"], "a", 0, 1));
        Assert.Equal([_folder["file"], _folder["full"]], Entries());
    }

    private string[] Entries() => [.. Directory.EnumerateFileSystemEntries(_folder.Path).Order(StringComparer.Ordinal)];
}
