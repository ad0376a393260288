using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LayerGateTests
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);
    private readonly ManualTime _time = new();
    private readonly LayerGate _gate;

    public LayerGateTests() => _gate = new LayerGate(_time);

    [Fact]
    public void Enter_OpenGate_IsSynchronousForAnyNumberOfLeases()
    {
        for (var i = 0; i < 100; i++)
        {
            Assert.True(Enter().IsCompletedSuccessfully);
        }
    }

    [Fact]
    public void Enter_CancelledToken_IsCancelledAndNoLease()
    {
        Assert.True(_gate.EnterAsync(new CancellationToken(canceled: true)).AsTask().IsCanceled);

        Assert.True(Close().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Enter_OpenGate_AllocatesNothing()
    {
        const int count = 1000;
        await EnterAndLeaveAsync(10);
        var before = GC.GetAllocatedBytesForCurrentThread();
        await EnterAndLeaveAsync(count);

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        // Never waits, and so allocates no state of its own either.
        async ValueTask EnterAndLeaveAsync(int times)
        {
            for (var i = 0; i < times; i++)
            {
                await _gate.EnterAsync(CancellationToken.None);
                _gate.Leave();
            }
        }
    }

    [Fact]
    public async Task Close_WithoutLeases_ClosesAtOnceWithoutATimer()
    {
        var closing = Close();

        Assert.True(closing.IsCompletedSuccessfully);
        Assert.Equal(0, _time.TimerCount);
        var entering = Enter();
        Assert.False(entering.IsCompleted);
        (await closing)!.Dispose();
        await entering;
    }

    [Fact]
    public async Task Close_WithLeases_WaitsForAllOfThem()
    {
        await Enter();
        await Enter();
        var closing = Close();
        _gate.Leave();

        Assert.False(closing.IsCompleted);
        _gate.Leave();
        using var closure = await closing;
        Assert.NotNull(closure);
        Assert.Equal(0, _time.TimerCount);
    }

    [Fact]
    public async Task Close_WhileItWaits_HoldsNewLeasesBack()
    {
        await Enter();
        var closing = Close();
        var entering = Enter();
        _gate.Leave();
        var closure = await closing;

        Assert.NotNull(closure);
        Assert.False(entering.IsCompleted);
        closure.Dispose();
        await entering;
    }

    [Fact]
    public async Task Close_LeaseThatStays_GivesInAfterTheTimeoutAndNotBefore()
    {
        await Enter();
        var closing = Close();
        var entering = Enter();
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout - TimeSpan.FromTicks(1));
        Assert.False(closing.IsCompleted);

        _time.Advance(TimeSpan.FromTicks(1));

        Assert.Null(await closing);
        await entering;
        Assert.True(Enter().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Close_Cancelled_OpensTheGateForThoseWhoWait()
    {
        using var cancellation = new CancellationTokenSource();
        await Enter();
        var closing = _gate.CloseAsync(Timeout, cancellation.Token).AsTask();
        var entering = Enter();
        await cancellation.CancelAsync();

        var exception = await Assert.ThrowsAnyAsync<OperationCanceledException>(() => closing);
        Assert.Equal(cancellation.Token, exception.CancellationToken);
        await entering;
        Assert.Equal(0, _time.TimerCount);
    }

    [Fact]
    public async Task Close_InfiniteTimeout_WaitsAsLongAsItTakes()
    {
        await Enter();
        var closing = _gate.CloseAsync(System.Threading.Timeout.InfiniteTimeSpan, CancellationToken.None).AsTask();
        _time.Advance(TimeSpan.FromDays(1));

        Assert.False(closing.IsCompleted);
        _gate.Leave();
        Assert.NotNull(await closing);
    }

    [Fact]
    public async Task Close_ZeroTimeout_ClosesOnlyWhatIsFree()
    {
        await Enter();
        Assert.Null(await _gate.CloseAsync(TimeSpan.Zero, CancellationToken.None));
        _gate.Leave();

        Assert.NotNull(await _gate.CloseAsync(TimeSpan.Zero, CancellationToken.None));
    }

    [Fact]
    public async Task Close_SeveralClosers_ComeInTheirOrderAndLetLeasesInBetween()
    {
        await Enter();
        var first = Close();
        var second = Close();
        var third = Close();
        var between = Enter();
        _gate.Leave();
        var closure = await first;
        Assert.False(second.IsCompleted);

        closure!.Dispose();
        await between;
        Assert.False(second.IsCompleted);
        _gate.Leave();
        closure = await second;
        Assert.False(third.IsCompleted);
        closure!.Dispose();
        Assert.NotNull(await third);
    }

    [Fact]
    public async Task Close_BehindAnother_HasItsWholeTimeoutWhenItsTurnComes()
    {
        var closure = await Close();
        var second = Close();
        var entering = Enter();
        _time.Advance(2 * Timeout);
        Assert.False(second.IsCompleted);

        closure!.Dispose();
        await entering;
        await _time.WaitForTimersAsync();
        _gate.Leave();
        Assert.NotNull(await second);
    }

    [Fact]
    public async Task Close_CancelledBehindAnother_LeavesTheFirstAlone()
    {
        using var cancellation = new CancellationTokenSource();
        var closure = await Close();
        var second = _gate.CloseAsync(Timeout, cancellation.Token).AsTask();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => second);

        Assert.False(Enter().IsCompleted);
        closure!.Dispose();
        closure.Dispose();
        Assert.Equal(0, _gate.WaitingCount);
    }

    [Fact]
    public async Task Enter_CancelledWhileItWaits_LeavesNothingBehind()
    {
        using var cancellation = new CancellationTokenSource();
        var closure = await Close();
        var cancelled = _gate.EnterAsync(cancellation.Token).AsTask();
        var other = Enter();
        await cancellation.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => cancelled);
        Assert.Equal(1, _gate.WaitingCount);
        closure!.Dispose();
        await other;
        _gate.Leave();

        // Would wait for ever if the cancelled lease counted.
        Assert.True(Close().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task Close_LeaseEndedBehindFence_WaitsForTheFence()
    {
        var fence = new ManualFence();
        await Enter();
        _gate.LeaveBehind(fence);
        var closing = Close();
        Assert.False(closing.IsCompleted);

        fence.Pass();
        using var closure = await closing;

        Assert.NotNull(closure);
        Assert.Equal(0, _gate.FenceCount);
    }

    [Fact]
    public async Task Close_FencesPassedMeanwhile_ClosesAtOnce()
    {
        var fence = new ManualFence();
        await Enter();
        _gate.LeaveBehind(fence);
        fence.Pass();

        Assert.True(Close().IsCompletedSuccessfully);
        Assert.Equal(0, fence.WaitCount);
    }

    [Fact]
    public async Task Close_FenceThatIsNotPassed_GivesInAfterTheTimeoutAndWaitsForItAgain()
    {
        var fence = new ManualFence();
        await Enter();
        _gate.LeaveBehind(fence);
        var closing = Close();
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout);
        Assert.Null(await closing);

        closing = Close();
        Assert.False(closing.IsCompleted);
        fence.Pass();
        Assert.NotNull(await closing);
    }

    [Fact]
    public async Task Close_LeaseThenFence_ShareOneTimeout()
    {
        var fence = new ManualFence();
        await Enter();
        var closing = Close();
        await _time.WaitForTimersAsync();
        _time.Advance(Timeout / 2);
        _gate.LeaveBehind(fence);
        _time.Advance(Timeout / 2);

        Assert.Null(await closing);
    }

    [Fact]
    public async Task Close_FenceFails_ThrowsThatAndOpensTheGate()
    {
        var fence = new ManualFence();
        await Enter();
        _gate.LeaveBehind(fence);
        var closing = Close();
        fence.Fail(new DeviceLost());

        await Assert.ThrowsAsync<DeviceLost>(() => closing);
        Assert.True(Enter().IsCompletedSuccessfully);
        _gate.Leave();
        // Said once: the next reload is not held up by it.
        Assert.Equal(0, _gate.FenceCount);
        using var closure = await Close();
        Assert.NotNull(closure);
    }

    [Fact]
    public async Task Close_FenceThatFailedBefore_ThrowsThatOnceAndKeepsTheOthers()
    {
        await Enter();
        await Enter();
        _gate.LeaveBehind(new LostFence());
        var held = new ManualFence();
        _gate.LeaveBehind(held);

        await Assert.ThrowsAsync<DeviceLost>(Close);
        Assert.Equal(1, _gate.FenceCount);
        var closing = Close();
        Assert.False(closing.IsCompleted);
        held.Pass();
        Assert.NotNull(await closing);
    }

    [Fact]
    public async Task LeaveBehind_FenceThatFails_EndsTheLeaseAndIsSaidByTheNextClosing()
    {
        for (var i = 0; i < 100; i++)
        {
            await Enter();
            _gate.LeaveBehind(new LostFence());
        }

        Assert.InRange(_gate.FenceCount, 0, 8);
        for (var i = 0; i <= 8; i++)
        {
            // As many as were not looked at yet, each once.
            try
            {
                using var closure = await Close();
                Assert.NotNull(closure);
                Assert.NotEqual(0, i);
                return;
            }
            catch (DeviceLost)
            {
            }
        }

        Assert.Fail("The gate is never closed again.");
    }

    [Fact]
    public async Task LeaveBehind_ManyFencesWithoutAReload_KeepsOnlyThoseThatAreNotPassed()
    {
        var held = new ManualFence();
        await Enter();
        _gate.LeaveBehind(held);
        for (var i = 0; i < 1000; i++)
        {
            var fence = new ManualFence();
            await Enter();
            _gate.LeaveBehind(fence);
            fence.Pass();
            Assert.InRange(_gate.FenceCount, 1, 8);
        }

        var closing = Close();
        Assert.False(closing.IsCompleted);
        held.Pass();
        Assert.NotNull(await closing);
    }

    [Fact]
    public async Task LeaveBehind_FenceOfTheHost_IsNotKept()
    {
        await Enter();
        _gate.LeaveBehind(Fence.Passed);

        Assert.Equal(0, _gate.FenceCount);
    }

    [Fact]
    public async Task Gate_RandomReadersAndWriters_NeverMeet()
    {
        // Real time: some closers give in, some leases are cancelled, and in the end nothing is left.
        const int readers = 8;
        const int writers = 3;
        const int rounds = 400;
        var gate = new LayerGate(TimeProvider.System);
        var (reading, writing, met, closed) = (0, 0, 0, 0);
        await Task.WhenAll(Enumerable.Range(0, readers).Select(i => Task.Run(() => ReadAsync(new Random(i))))
            .Concat(Enumerable.Range(readers, writers).Select(i => Task.Run(() => WriteAsync(new Random(i))))));

        Assert.Equal(0, met);
        Assert.NotEqual(0, closed);
        Assert.Equal(0, gate.WaitingCount);
        Assert.NotNull(await gate.CloseAsync(TimeSpan.Zero, CancellationToken.None));

        async Task ReadAsync(Random random)
        {
            for (var i = 0; i < rounds; i++)
            {
                using var cancellation = new CancellationTokenSource();
                var entering = gate.EnterAsync(cancellation.Token);
                if (random.Next(4) == 0)
                {
                    await cancellation.CancelAsync();
                }

                try
                {
                    await entering;
                }
                catch (OperationCanceledException)
                {
                    continue;
                }

                Interlocked.Increment(ref reading);
                Note(Volatile.Read(ref writing) != 0);
                await SpendAsync(random);
                Note(Volatile.Read(ref writing) != 0);
                Interlocked.Decrement(ref reading);
                if (random.Next(3) == 0)
                {
                    var fence = new ManualFence();
                    gate.LeaveBehind(fence);
                    fence.Pass();
                }
                else
                {
                    gate.Leave();
                }
            }
        }

        async Task WriteAsync(Random random)
        {
            for (var i = 0; i < rounds; i++)
            {
                using var closure = await gate.CloseAsync(TimeSpan.FromMilliseconds(random.Next(3)), CancellationToken.None);
                if (closure is null)
                {
                    continue;
                }

                Note(Interlocked.Increment(ref writing) != 1 || Volatile.Read(ref reading) != 0);
                await SpendAsync(random);
                Note(Volatile.Read(ref writing) != 1 || Volatile.Read(ref reading) != 0);
                Interlocked.Decrement(ref writing);
                Interlocked.Increment(ref closed);
            }
        }

        void Note(bool haveMet)
        {
            if (haveMet)
            {
                Interlocked.Increment(ref met);
            }
        }

        static async Task SpendAsync(Random random)
        {
            if (random.Next(2) == 0)
            {
                await Task.Yield();
            }
        }
    }

    private Task Enter() => _gate.EnterAsync(CancellationToken.None).AsTask();

    private Task<LayerGate.Closure?> Close() => _gate.CloseAsync(Timeout, CancellationToken.None).AsTask();

    private sealed class LostFence : Fence
    {
        public override bool HasPassed => throw new DeviceLost();

        public override ValueTask WaitAsync(CancellationToken cancellationToken = default) => throw new DeviceLost();
    }

    private sealed class DeviceLost : Exception;
}
