using Xunit;

namespace IlgpuLoader.Hosting.Tests;

public sealed class StatusFeedTests
{
    private readonly StatusFeed _feed = new();

    [Fact]
    public async Task Wait_ChangeThatCameBefore_EndsAtOnce()
    {
        var seen = _feed.Sequence;
        _feed.Announce();

        Assert.True(await _feed.WaitAsync(seen, CancellationToken.None));
    }

    [Fact]
    public async Task Wait_ForTheNextChange_EndsWithItForAll()
    {
        var waiting = Enumerable.Range(0, 3).Select(_ => _feed.WaitAsync(_feed.Sequence, CancellationToken.None)).ToArray();
        Assert.All(waiting, wait => Assert.False(wait.IsCompleted));
        _feed.Announce();

        Assert.All(await Task.WhenAll(waiting), Assert.True);
    }

    [Fact]
    public async Task Wait_FeedThatEnds_SaysSo()
    {
        var waiting = _feed.WaitAsync(_feed.Sequence, CancellationToken.None);
        _feed.End();

        Assert.False(await waiting);
        Assert.False(await _feed.WaitAsync(_feed.Sequence, CancellationToken.None));
    }

    [Fact]
    public async Task Wait_ThatIsCancelled_LeavesTheOthersWaiting()
    {
        using var stop = new CancellationTokenSource();
        var (given, other) = (_feed.WaitAsync(_feed.Sequence, stop.Token), _feed.WaitAsync(_feed.Sequence, CancellationToken.None));
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => given);

        Assert.False(other.IsCompleted);
        _feed.Announce();
        Assert.True(await other);
    }
}
