using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>What is told of a download: never a part of it as the whole, and in the end all of it.</summary>
public sealed class DownloadTallyTests : IProgress<DownloadProgress>
{
    private readonly List<DownloadProgress> _told = [];
    private readonly ManualTime _time = new();
    private readonly DownloadTally _tally;

    public DownloadTallyTests()
    {
        _tally = new DownloadTally(this, _time);
        // The clock begins at zero, where a report may have been just now.
        _time.Advance(TimeSpan.FromSeconds(1));
    }

    void IProgress<DownloadProgress>.Report(DownloadProgress value) => _told.Add(value);

    [Fact]
    public void Expect_BeforeAllIsCounted_TellsNobody()
    {
        _tally.AddOld([10]);
        _tally.Expect(30);
        _tally.Expect(50);
        Assert.Empty(_told);

        _tally.Begin();
        Assert.Equal([new DownloadProgress(1, 3, 10, 90, 0)], _told);
    }

    [Fact]
    public void Begin_WithNothingMissing_TellsOfACompleteOne()
    {
        _tally.AddOld([10, 20]);
        _tally.Begin();
        _tally.End();
        Assert.Equal([new DownloadProgress(2, 2, 30, 30, 0)], _told);
    }

    [Fact]
    public void AddFetched_WithinTheInterval_IsToldAtTheEndAtTheLatest()
    {
        _tally.Expect(100);
        _tally.Begin();
        _tally.AddFetched(20);
        _tally.AddFetched(30);
        Assert.Single(_told);
        _tally.End();
        Assert.Equal(new DownloadProgress(0, 1, 50, 100, 50), _told[^1]);
        _tally.End();
        Assert.Equal(2, _told.Count);
    }

    [Fact]
    public void AddFetched_AfterTheInterval_IsTold()
    {
        _tally.Expect(100);
        _tally.Begin();
        _time.Advance(TimeSpan.FromMilliseconds(60));
        _tally.AddFetched(20);
        _tally.AddFetched(30);
        _tally.AddFile();
        Assert.Equal([20, 50], _told.Skip(1).Select(progress => progress.Bytes));
        Assert.Equal(new DownloadProgress(1, 1, 50, 100, 50), _told[^1]);
    }
}
