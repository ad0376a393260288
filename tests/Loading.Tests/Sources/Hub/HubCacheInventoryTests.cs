using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class HubCacheInventoryTests : IDisposable
{
    private const string Weights = "e36ab481727574f27226fea9cb97e786c8005916e49156a3d3b7aed5af3974a8";

    private readonly TemporaryFolder _folder = new();
    private readonly string _cache;

    public HubCacheInventoryTests() => _cache = GoldenHubCache.ExtractTo(_folder.Path).Cache;

    private string Tiny => Path.Combine(_cache, "models--acme--tiny");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Read_NoCache_IsEmpty()
    {
        var inventory = await HubCacheInventory.ReadAsync(_folder["nowhere"]);
        Assert.Empty(inventory.Repositories);
        Assert.Equal(0, inventory.Bytes);
    }

    [LinuxFact]
    public async Task Read_StrangeEntries_AreProblemsAndLeftAlone()
    {
        Directory.CreateDirectory(Path.Combine(_cache, "strange"));
        var snapshot = Path.Combine(Tiny, "snapshots", HubSample.First);
        File.CreateSymbolicLink(Path.Combine(snapshot, "out"), "../../../../../../../etc/passwd");
        File.CreateSymbolicLink(Path.Combine(snapshot, "nowhere"), "../../blobs/none");
        Directory.CreateSymbolicLink(Path.Combine(snapshot, "folder"), "/etc");
        var inventory = await HubCacheInventory.ReadAsync(_cache);
        Assert.Equal(4, inventory.Problems.Count);
        Assert.Equal(3, inventory.Repositories.Single(repository => repository.Folder == Tiny).Revisions[0].Files.Count);
        Assert.Equal(3, (await inventory.VerifyAsync([HubSample.Tiny])).Problems.Count);
    }

    [LinuxFact]
    public async Task Verify_ChangedBlob_IsNamed()
    {
        var blob = Path.Combine(Tiny, "blobs", Weights);
        File.WriteAllBytes(blob, new byte[76]);
        var verified = await (await HubCacheInventory.ReadAsync(_cache)).VerifyAsync();
        Assert.Equal(6, verified.CheckedBlobs);
        Assert.Equal(blob, Assert.Single(verified.Problems).Path);
        Assert.Empty((await (await HubCacheInventory.ReadAsync(_cache)).VerifyAsync([new HubRepository("gpt-nameless")])).Problems);
    }

    [LinuxFact]
    public async Task Verify_Progress_EndsComplete()
    {
        var progress = new RecordedDownload();
        await (await HubCacheInventory.ReadAsync(_cache)).VerifyAsync(progress: progress);
        Assert.Equal(new DownloadProgress(6, 6, 108, 108, 0), progress.Reports[^1]);
    }

    [LinuxFact]
    public async Task Prune_RevisionThatNothingMeans_GoesWithItsOwnBlobs()
    {
        File.Delete(Path.Combine(Tiny, "refs", "main"));
        var inventory = await HubCacheInventory.ReadAsync(_cache);
        var before = HubSample.Entries(_cache);
        var planned = await inventory.PruneAsync(dryRun: true);
        Assert.Equal(before, HubSample.Entries(_cache));
        var snapshot = Path.Combine(Tiny, "snapshots", HubSample.Second);
        var blob = Path.Combine(Tiny, "blobs", "ba389ae1ce7fd0aa4e437b8d325add065e838fcd");
        Assert.Equal([new(HubCacheRemovalKind.Revision, snapshot, 0), new(HubCacheRemovalKind.Blob, blob, 7)], planned);
        Assert.Equal(planned, await inventory.PruneAsync());
        Assert.False(Directory.Exists(snapshot));
        Assert.False(Directory.Exists(Path.Combine(Tiny, ".no_exist", HubSample.Second)));
        Assert.False(File.Exists(blob));
        // What the other revision has stays.
        Assert.True(File.Exists(Path.Combine(Tiny, "blobs", Weights)));
        Assert.Empty((await HubCacheInventory.ReadAsync(_cache)).Problems);
    }

    [LinuxFact]
    public async Task Prune_WhatIsLinkedOrMeantSinceItWasRead_Stays()
    {
        const string tag = "ba389ae1ce7fd0aa4e437b8d325add065e838fcd";
        var main = Path.Combine(Tiny, "refs", "main");
        File.Delete(main);
        var inventory = await HubCacheInventory.ReadAsync(_cache);
        File.WriteAllText(main, HubSample.Second);
        Assert.Empty(await inventory.PruneAsync());
        File.Delete(main);
        File.CreateSymbolicLink(Path.Combine(Tiny, "snapshots", HubSample.First, "new.json"), "../../blobs/" + tag);
        Assert.Equal([HubCacheRemovalKind.Revision], (await inventory.PruneAsync()).Select(removal => removal.Kind));
        Assert.True(File.Exists(Path.Combine(Tiny, "blobs", tag)));
    }

    [LinuxFact]
    public async Task Prune_RevisionThatADownloadFills_Stays()
    {
        File.Delete(Path.Combine(Tiny, "refs", "main"));
        var snapshot = Path.Combine(Tiny, "snapshots", HubSample.Second);
        var inventory = await HubCacheInventory.ReadAsync(_cache);
        var locks = Path.Combine(_cache, ".locks", "models--acme--tiny");
        // Of a blob that it has, and of one that is to come.
        foreach (var tag in new[] { Weights, new string('1', 64) })
        {
            using (await FileLock.TakeAsync(Path.Combine(locks, tag + ".lock"), FileLock.OfGroup, TimeProvider.System, default))
            {
                Assert.Empty(await inventory.PruneAsync(dryRun: true));
                Assert.Empty(await inventory.PruneAsync());
            }
        }

        File.CreateSymbolicLink(Path.Combine(snapshot, "new.bin"), "../../blobs/" + Weights);
        Assert.Empty(await inventory.PruneAsync());
        Assert.True(Directory.Exists(snapshot));
    }

    [LinuxFact]
    public async Task Prune_DryRun_MakesNoLocks()
    {
        File.Delete(Path.Combine(Tiny, "refs", "main"));
        foreach (var file in Directory.EnumerateFiles(Path.Combine(_cache, ".locks"), "*", SearchOption.AllDirectories).ToArray())
        {
            File.Delete(file);
        }

        Directory.CreateDirectory(Path.Combine(_cache, ".locks", "models--acme--tiny"));
        var before = HubSample.Entries(_cache);
        Assert.Equal(2, (await (await HubCacheInventory.ReadAsync(_cache)).PruneAsync(dryRun: true)).Count);
        Assert.Equal(before, HubSample.Entries(_cache));
    }

    [LinuxFact]
    public async Task Prune_UnfinishedDownloads_GoUnlessSomebodyIsAtThem()
    {
        var tag = new string('1', 64);
        foreach (var name in new[] { tag + ".incomplete", tag + ".12ab34cd.incomplete", tag + PartialFile.DataEnding, tag + PartialFile.JournalEnding })
        {
            File.WriteAllText(Path.Combine(Tiny, "blobs", name), "part");
        }

        var inventory = await HubCacheInventory.ReadAsync(_cache);
        Assert.Equal(76 + 7 + 7 + 4 + 16, inventory.Repositories.Single(repository => repository.Folder == Tiny).Bytes);
        using (await FileLock.TakeAsync(Path.Combine(_cache, ".locks", "models--acme--tiny", tag + ".lock"), FileLock.OfGroup, TimeProvider.System, default))
        {
            Assert.Empty(await inventory.PruneAsync());
        }

        var removed = await inventory.PruneAsync();
        Assert.Equal(4, removed.Count);
        Assert.All(removed, removal => Assert.Equal((HubCacheRemovalKind.Unfinished, 4), (removal.Kind, removal.Bytes)));
        Assert.DoesNotContain(Directory.EnumerateFiles(Path.Combine(Tiny, "blobs")), file => file.Contains(tag, StringComparison.Ordinal));
    }

    [LinuxFact]
    public async Task Read_RefOfACommitThatIsNotHere_IsAProblem()
    {
        File.WriteAllText(Path.Combine(Tiny, "refs", "gone"), new string('c', 40));
        Assert.Contains("'gone'", Assert.Single((await HubCacheInventory.ReadAsync(_cache)).Problems).Problem, StringComparison.Ordinal);
    }
}
