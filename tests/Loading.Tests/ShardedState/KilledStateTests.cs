using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Processes that are killed while they save a state or reload a live model from it: the folder has the previous state or the new one, whole, and the next save leaves nothing beside it.</summary>
public sealed class KilledStateTests : IDisposable
{
    private const int SaveMoments = 56;
    private const int ReloadMoments = 24;

    // The last moments of a save are those of its commit; as many of the rest are spread over all that comes before.
    private const int LastMoments = 34;
    private const int CommitMoments = 20;

    private const int Old = 1;
    private const int New = 2;
    private const int Next = 3;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public async Task Save_KilledAtCallsOfTwoRanks_LeavesTheOldOrTheNewStateWhole()
    {
        var all = await CountMomentsAsync();
        int[] moments = [
            .. Enumerable.Range(0, SaveMoments - LastMoments).Select(i => i * (all - LastMoments) / (SaveMoments - LastMoments)),
            .. Enumerable.Range(all - LastMoments, LastMoments)];
        Assert.Equal(SaveMoments, moments.Distinct().Count());
        var found = new (int Version, bool IsCommit)[moments.Length];
        await Parallel.ForAsync(0, moments.Length, async (i, _) => found[i] = await KillAsync(i, moments[i]));
        Assert.True(found.Count(kill => kill.IsCommit) >= CommitMoments, $"{found.Count(kill => kill.IsCommit)} moments of the commit");
        // Before the last rank's record is there the target is never touched; after the exchange it is never the old one.
        Assert.All(found.Where(kill => !kill.IsCommit), kill => Assert.Equal(Old, kill.Version));
        Assert.Equal(New, found[^1].Version);
        Assert.Equal(found.Select(kill => kill.Version).Order(), found.Select(kill => kill.Version));
    }

    [LinuxFact]
    public async Task Reload_KilledWithTheProcessThatSavesOverTheState_LeavesOneOfTheStatesWhole()
    {
        var random = new Random(1);
        var delays = Enumerable.Range(0, ReloadMoments).Select(_ => random.Next(20)).ToArray();
        await Parallel.ForAsync(0, ReloadMoments, async (i, token) =>
        {
            var target = _folder[$"{i}/out"];
            await VersionedState.SaveAsync(target, Old);
            using var saves = StateProgram.StartSaves(target, New);
            try
            {
                using var reloads = StateProgram.StartReloads(target, i % VersionedState.Ranks, i * 3);
                await reloads.WaitForExitAsync(token);
                Assert.Equal(OwnProgram.Killed, reloads.ExitCode);
                await Task.Delay(delays[i], token);
            }
            finally
            {
                saves.Kill();
                await saves.WaitForExitAsync(CancellationToken.None);
            }

            Assert.Equal(OwnProgram.Killed, saves.ExitCode);
            Assert.InRange(await VersionedState.WholeAsync(target), Old, New);
            await AssertNextIsAloneAsync(target);
        });
    }

    private async Task<int> CountMomentsAsync()
    {
        var target = _folder["counted/out"];
        await VersionedState.SaveAsync(target, Old);
        using var process = StateProgram.StartSave(target, New);
        var count = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        Assert.Equal(New, await VersionedState.WholeAsync(target));
        return int.Parse(count, CultureInfo.InvariantCulture);
    }

    // What the target holds after a save that was killed at a moment, and whether all of it had been recorded by then.
    private async Task<(int Version, bool IsCommit)> KillAsync(int index, int moment)
    {
        var target = _folder[$"{index}/out"];
        await VersionedState.SaveAsync(target, Old);
        using (var process = StateProgram.StartSave(target, New, moment))
        {
            await process.WaitForExitAsync();
            Assert.Equal(OwnProgram.Killed, process.ExitCode);
        }

        var version = await VersionedState.WholeAsync(target);
        var hidden = Directory.EnumerateDirectories(Path.GetDirectoryName(target)!, ".*").SelectMany(path => Directory.EnumerateFiles(path)).Select(path => Path.GetFileName(path));
        var isCommit = version == New || hidden.Contains($"rank-{VersionedState.Ranks - 1}.json");
        await AssertNextIsAloneAsync(target);
        return (version, isCommit);
    }

    private static async Task AssertNextIsAloneAsync(string target)
    {
        await VersionedState.SaveAsync(target, Next);
        Assert.Equal(Next, await VersionedState.WholeAsync(target));
        Assert.Equal([target], Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(target)!));
    }
}
