using System.Globalization;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Formats.Tests;

/// <summary>Processes that save and are killed, or save at the same time: the target is the previous state or the new one, whole.</summary>
public sealed class KilledSaveTests : IDisposable
{
    private const int Ranks = 2;

    // Of the 64 pieces of a save's files.
    private const int WritingMoments = 22;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [LinuxFact]
    public async Task Save_KilledAtEveryCallAndInTheWritingBeside_LeavesAWholeStateAndNothingAfterTheNextSave()
    {
        var (beforeCommit, all) = await CountMomentsAsync();
        Assert.True(all - beforeCommit >= 20, $"{all - beforeCommit} moments of the commit");
        var random = new Random(1);
        (int Moment, int Piece)[] moments = [
            .. Enumerable.Range(0, all).Select(moment => (moment, -1)),
            .. Enumerable.Range(0, WritingMoments).Select(_ => (-1, random.Next(Ranks * SavingProgram.Parts * SavingProgram.Pieces)))];
        Assert.True(moments.Length >= 120, $"{moments.Length} moments");
        var found = new string[moments.Length];
        await Parallel.ForAsync(0, moments.Length, async (i, _) => found[i] = await KillAsync(i, moments[i].Moment, moments[i].Piece));
        // Before the commit the target is never touched; after the exchange it is never the old one.
        Assert.All(found.Take(beforeCommit).Concat(found.Skip(all)), id => Assert.Equal("old", id));
        Assert.Equal("new", found[all - 1]);
        Assert.Equal(found.Take(all).Count(id => id == "old"), found.Take(all).TakeWhile(id => id == "old").Count());
    }

    [LinuxFact]
    public async Task Save_WithoutExchangeKilledAtEveryCallOfTheCommit_LeavesAWholeStateThereOrBesideIt()
    {
        var (beforeCommit, all) = await CountMomentsAsync(refuseExchange: true);
        var found = new string[all - beforeCommit];
        await Parallel.ForAsync(0, found.Length, async (i, _) => found[i] = await KillAsync(i, beforeCommit + i, -1, refuseExchange: true));
        // The old state, the old state set aside for as long as a moment between two calls, the new one.
        Assert.Equal(["old", "aside", "new"], found.Distinct());
        Assert.Equal(found.Order(Comparer<string>.Create((one, other) => Order(one) - Order(other))), found);
        Assert.InRange(found.Count(id => id == "aside"), 1, 2);

        static int Order(string id) => id switch { "old" => 0, "aside" => 1, _ => 2 };
    }

    [LinuxFact]
    public async Task Save_TwoProcessesAtOnce_IsWholeEveryTime()
    {
        await Parallel.ForAsync(0, 4, async (i, _) =>
        {
            var target = _folder[$"{i}/out"];
            for (var time = 0; time < 2; time++)
            {
                var id = $"save-{time}";
                using var one = SavingProgram.Start(target, id, 0, 1, Ranks);
                using var other = SavingProgram.Start(target, id, 1, 1, Ranks);
                await Task.WhenAll(one.WaitForExitAsync(CancellationToken.None), other.WaitForExitAsync(CancellationToken.None));
                Assert.Equal((0, 0), (one.ExitCode, other.ExitCode));
                Assert.Equal(id, await Share.WholeAsync(target));
                Assert.Equal([target], Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(target)!));
            }
        });
    }

    private async Task<(int BeforeCommit, int All)> CountMomentsAsync(bool refuseExchange = false)
    {
        var target = _folder["counted/out"];
        await SaveOldAsync(target);
        using var process = SavingProgram.Start(target, "new", 0, Ranks, Ranks, refuseExchange: refuseExchange);
        var counts = (await process.StandardOutput.ReadToEndAsync()).Split(' ');
        await process.WaitForExitAsync();
        Assert.Equal(0, process.ExitCode);
        Assert.Equal("new", await Share.WholeAsync(target));
        return (int.Parse(counts[0], CultureInfo.InvariantCulture), int.Parse(counts[1], CultureInfo.InvariantCulture));
    }

    // What the target holds after a save that was killed at a moment; the next save leaves nothing else beside it.
    private async Task<string> KillAsync(int index, int moment, int piece, bool refuseExchange = false)
    {
        var target = _folder[$"{index}/out"];
        await SaveOldAsync(target);
        using (var process = SavingProgram.Start(target, "new", 0, Ranks, Ranks, moment, piece, refuseExchange))
        {
            await process.WaitForExitAsync();
            Assert.Equal(OwnProgram.Killed, process.ExitCode);
        }

        var found = Directory.Exists(target) ? await Share.WholeAsync(target) : await SetAsideAsync(target);
        Assert.Empty(await Share.SaveAsync(target, "next", 0, 1));
        Assert.Equal("next", await Share.WholeAsync(target));
        Assert.Equal([target], Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(target)!));
        return found;
    }

    // Between the two renames the old state is whole under another name, which is found.
    private static async Task<string> SetAsideAsync(string target)
    {
        var aside = Leftovers.FindSetAside(target);
        Assert.NotNull(aside);
        Assert.Equal("old", await Share.WholeAsync(aside));
        return "aside";
    }

    private static async Task SaveOldAsync(string target)
    {
        Assert.Equal([1], await Share.SaveAsync(target, "old", 0, Ranks));
        Assert.Empty(await Share.SaveAsync(target, "old", 1, Ranks));
    }
}
