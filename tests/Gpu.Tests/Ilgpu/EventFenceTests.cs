using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Ilgpu")]
public sealed class EventFenceTests
{
    [Fact]
    public async Task An_event_is_destroyed_once_behind_the_last_who_uses_it()
    {
        var fence = new ProbeFence();
        Assert.False(fence.HasPassed);
        var first = fence.WaitAsync().AsTask();
        var second = fence.WaitAsync().AsTask();
        fence.Waiting.Wait();
        // Asked while somebody waits, and passed meanwhile: the waiter still has the event.
        fence.IsDone = true;
        Assert.True(fence.HasPassed);
        Assert.Equal(0, fence.Destroyed);
        fence.Release.Set();
        await first;
        await second;
        Assert.True(fence.HasPassed);
        fence.Abandon(failure: null);
        Assert.Equal((1, 1), (fence.Destroyed, fence.Waits));
    }

    [Fact]
    public async Task A_cancelled_wait_ends_and_leaves_the_event_to_who_still_waits()
    {
        var fence = new ProbeFence();
        using var cancelled = new CancellationTokenSource();
        var waiting = fence.WaitAsync(cancelled.Token).AsTask();
        fence.Waiting.Wait();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(0, fence.Destroyed);
        fence.Release.Set();
        await fence.WaitAsync();
        fence.Wait();
        Assert.Equal((1, 1), (fence.Destroyed, fence.Waits));
    }

    [Fact]
    public async Task A_fence_of_a_stream_that_failed_never_says_that_it_has_passed()
    {
        var fence = new ProbeFence();
        var failure = new DeviceFailureException("cuda:0", "its driver failed");
        fence.Abandon(failure);
        Assert.Same(failure, Assert.Throws<DeviceFailureException>(() => fence.HasPassed));
        Assert.Same(failure, await Assert.ThrowsAsync<DeviceFailureException>(() => fence.WaitAsync().AsTask()));
        Assert.Equal((1, 0), (fence.Destroyed, fence.Waits));
    }

    private sealed class ProbeFence : EventFence
    {
        private int _destroyed;

        public bool IsDone { get; set; }

        public int Destroyed => Volatile.Read(ref _destroyed);

        public int Waits { get; private set; }

        public ManualResetEventSlim Waiting { get; } = new();

        public ManualResetEventSlim Release { get; } = new();

        protected override bool IsComplete() => IsDone;

        protected override void WaitForEvent()
        {
            Waits++;
            Waiting.Set();
            Release.Wait();
        }

        protected override void DestroyEvent() => Interlocked.Increment(ref _destroyed);
    }
}
