namespace IlgpuLoader.TestKit;

/// <summary>A clock that stands until it is moved. Timers run on the thread that moves it. Safe for any thread.</summary>
public sealed class ManualTime : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<ManualTimer> _timers = [];
    private readonly List<(int Count, TaskCompletionSource Reached)> _waiting = [];
    private TimeSpan _now;

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <summary>Timers that wait to run.</summary>
    public int TimerCount
    {
        get
        {
            lock (_lock)
            {
                return _timers.Count;
            }
        }
    }

    /// <inheritdoc/>
    public override long GetTimestamp()
    {
        lock (_lock)
        {
            return _now.Ticks;
        }
    }

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => DateTimeOffset.UnixEpoch + TimeSpan.FromTicks(GetTimestamp());

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new ManualTimer(this, callback, state);
        _ = timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Waits until somebody waits for time: that many timers at least.</summary>
    public async Task WaitForTimersAsync(int count = 1)
    {
        Task reached;
        lock (_lock)
        {
            if (_timers.Count >= count)
            {
                return;
            }

            var source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _waiting.Add((count, source));
            reached = source.Task;
        }

        await reached.WaitAsync(TimeSpan.FromSeconds(30), System);
    }

    /// <summary>Moves the clock, and runs what is due in its order.</summary>
    public void Advance(TimeSpan by)
    {
        TimeSpan end;
        lock (_lock)
        {
            end = _now + by;
        }

        while (true)
        {
            ManualTimer? due;
            lock (_lock)
            {
                due = _timers.Where(timer => timer.Due <= end).MinBy(timer => timer.Due);
                _now = due is null ? end : due.Due > _now ? due.Due : _now;
                if (due is null)
                {
                    return;
                }

                due.Reschedule();
            }

            due.Run();
        }
    }

    /// <summary>Waits until a timer is there, moves the clock, and waits until the next is: one round of what looks again and again.</summary>
    public async Task StepAsync(TimeSpan by)
    {
        await WaitForTimersAsync();
        Advance(by);
        await WaitForTimersAsync();
    }

    private sealed class ManualTimer(ManualTime time, TimerCallback callback, object? state) : ITimer
    {
        private TimeSpan _period;

        public TimeSpan Due { get; private set; }

        public void Run() => callback(state);

        // Under the clock's lock.
        public void Reschedule()
        {
            if (_period <= TimeSpan.Zero)
            {
                _ = time._timers.Remove(this);
            }
            else
            {
                Due += _period;
            }
        }

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            lock (time._lock)
            {
                _ = time._timers.Remove(this);
                if (dueTime == Timeout.InfiniteTimeSpan)
                {
                    return true;
                }

                (Due, _period) = (time._now + dueTime, period);
                time._timers.Add(this);
                foreach (var waiting in time._waiting.Where(waiting => time._timers.Count >= waiting.Count).ToArray())
                {
                    _ = time._waiting.Remove(waiting);
                    waiting.Reached.SetResult();
                }

                return true;
            }
        }

        public void Dispose()
        {
            lock (time._lock)
            {
                _ = time._timers.Remove(this);
            }
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
