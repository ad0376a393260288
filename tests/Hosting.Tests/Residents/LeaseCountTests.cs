using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

public sealed class LeaseCountTests
{
    private readonly LeaseCount _leases = new();

    [Fact]
    public async Task Close_WithoutLeases_EndsAtOnceAndLetsNobodyIn()
    {
        await _leases.CloseAsync();

        Assert.False(_leases.TryEnter());
    }

    [Fact]
    public async Task Close_WithLeases_EndsWithTheLast()
    {
        Assert.True(_leases.TryEnter());
        Assert.True(_leases.TryEnter());
        var closing = _leases.CloseAsync();
        _leases.Leave();
        Assert.False(closing.IsCompleted);
        _leases.Leave();

        await closing;
    }

    [Fact]
    public async Task Close_WithFences_WaitsForThemAll()
    {
        var fences = Enumerable.Range(0, 100).Select(_ => new FenceOfTest()).ToArray();
        foreach (var fence in fences)
        {
            _leases.TryEnter();
            _leases.LeaveBehind(fence);
        }

        var closing = _leases.CloseAsync();
        foreach (var fence in fences[1..])
        {
            fence.Passed.SetResult();
        }

        Assert.False(closing.IsCompleted);
        fences[0].Passed.SetResult();
        await closing;
    }

    [Fact]
    public async Task Close_FenceThatFails_ThrowsBehindTheOthers()
    {
        var (bad, slow) = (new FenceOfTest(), new FenceOfTest());
        foreach (var fence in (FenceOfTest[])[bad, slow])
        {
            _leases.TryEnter();
            _leases.LeaveBehind(fence);
        }

        var closing = _leases.CloseAsync();
        bad.Passed.SetException(new IOException("device"));
        Assert.False(closing.IsCompleted);
        slow.Passed.SetResult();
        await Assert.ThrowsAsync<IOException>(() => closing);
    }

    [Fact]
    public async Task LeaveBehind_FenceThatThrowsWhenItIsAsked_EndsTheLease()
    {
        for (var i = 0; i < 40; i++)
        {
            _leases.TryEnter();
            _leases.LeaveBehind(new FenceOfTest { Failure = new IOException("device") });
        }

        await Assert.ThrowsAsync<IOException>(() => _leases.CloseAsync().WaitAsync(TimeSpan.FromSeconds(30)));
    }

    private sealed class FenceOfTest : Fence
    {
        public new TaskCompletionSource Passed { get; } = new();

        public Exception? Failure { get; init; }

        public override bool HasPassed => Failure is null ? Passed.Task.IsCompletedSuccessfully : throw Failure;

        public override ValueTask WaitAsync(CancellationToken cancellationToken = default) => Failure is null ? new(Passed.Task) : ValueTask.FromException(Failure);
    }
}
