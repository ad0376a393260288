using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>The order of the calls: what a record lists is on disk before the record, all of it before the exchange.</summary>
public sealed class JoinedFolderOrderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public async Task Member_ThatIsNotTheLast_HasItsContentOnDiskBeforeItsRecord()
    {
        var calls = new RecordingCalls();
        Assert.Equal([1], await Share.SaveAsync(_folder["d"], "a", 0, 2, parts: 1, calls: calls));
        Assert.Equal([.. File("0"), .. File("rank")], calls.Steps);
    }

    [LinuxFact]
    public async Task LastMember_WithoutAnOldState_RenamesTwice()
    {
        var calls = new RecordingCalls();
        Assert.Empty(await Share.SaveAsync(_folder["d"], "a", 0, 1, parts: 1, calls: calls));
        Assert.Equal(
            [.. File("0"), .. File("rank"), .. File("config.json"), "move save hidden", "move hidden d", "flush folder ilgpu"], calls.Steps);
    }

    [LinuxFact]
    public async Task LastMember_OverAnOldState_ExchangesInOneStepAndThenRemoves()
    {
        Assert.Empty(await Share.SaveAsync(_folder["d"], "old", 0, 1));
        var calls = new RecordingCalls();
        Assert.Empty(await Share.SaveAsync(_folder["d"], "a", 0, 1, parts: 1, calls: calls));
        Assert.Equal(
            [.. File("0"), .. File("rank"), .. File("config.json"), "move save hidden", "exchange hidden d", "flush folder ilgpu", "delete hidden"],
            calls.Steps);
    }

    [LinuxFact]
    public async Task LastMember_WithoutExchange_SetsTheOldStateAside()
    {
        Assert.Empty(await Share.SaveAsync(_folder["d"], "old", 0, 1));
        var calls = new RecordingCalls { RefuseExchange = true };
        Assert.Empty(await Share.SaveAsync(_folder["d"], "a", 0, 1, parts: 1, calls: calls));
        Assert.Equal(
            ["move save hidden", "exchange hidden d", "move d aside", "move hidden d", "flush folder ilgpu", "delete aside"], calls.Steps.TakeLast(6));
        Assert.Equal("a", await Share.WholeAsync(_folder["d"]));
    }

    [LinuxTheory]
    [InlineData(2)]
    [InlineData(3)]
    public async Task LastMember_WhenARenameFails_PutsTheOldStateBack(int failing)
    {
        Assert.Empty(await Share.SaveAsync(_folder["d"], "old", 0, 1));
        Assert.Equal([1], await Share.SaveAsync(_folder["d"], "a", 0, 2));
        var calls = new RecordingCalls { RefuseExchange = true, FailingFolderMove = failing };
        await Assert.ThrowsAsync<IOException>(() => Share.SaveAsync(_folder["d"], "a", 1, 2, calls: calls));
        Assert.Equal("old", await Share.WholeAsync(_folder["d"]));
        Assert.Equal([_folder[".d.save-a"], _folder["d"]], Directory.EnumerateFileSystemEntries(_folder.Path).Order(StringComparer.Ordinal));
        // The other member's share was not lost.
        Assert.Empty(await Share.SaveAsync(_folder["d"], "a", 1, 2));
        Assert.Equal("a", await Share.WholeAsync(_folder["d"]));
    }

    [LinuxFact]
    public async Task LastMember_BelowFoldersThatWereMade_ForcesTheirNamesToo()
    {
        var calls = new RecordingCalls();
        Assert.Empty(await Share.SaveAsync(_folder["p/q/d"], "a", 0, 1, parts: 0, calls: calls));
        Assert.Equal(["flush folder q", "flush folder p", "flush folder ilgpu"], calls.Steps.TakeLast(3));
    }

    private static string[] File(string name) => ["open unnamed", "flush file", $"link {name}: Linked", "flush folder save"];
}
