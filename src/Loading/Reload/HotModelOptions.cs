using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How a live model treats its readers. Immutable.</summary>
public sealed record HotModelOptions
{
    /// <summary>The defaults.</summary>
    public static HotModelOptions Default { get; } = new();

    /// <summary>
    /// How long a reload waits for the readers of a layer before it leaves the layer its old weights; also how long the end of the model waits for them. Default: five seconds, the model's own
    /// specification: many times what a forward pass takes in one layer, and short enough that a reader which never ends its lease is noticed. <see cref="Timeout.InfiniteTimeSpan"/> for ever,
    /// where readers are known to end their leases.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative, or more than timers can wait.</exception>
    public TimeSpan LeaseTimeout
    {
        get;
        init
        {
            // What a CancellationTokenSource takes.
            var longest = TimeSpan.FromMilliseconds(uint.MaxValue - 1);
            if (value != Timeout.InfiniteTimeSpan)
            {
                ArgumentOutOfRangeException.ThrowIfLessThan(value, TimeSpan.Zero);
                ArgumentOutOfRangeException.ThrowIfGreaterThan(value, longest);
            }

            field = value;
        }
    } = TimeSpan.FromSeconds(5);

    /// <summary>How checkpoints are opened that are reloaded by their path, or watched. Default: the defaults.</summary>
    public CheckpointOptions Open { get; init; } = CheckpointOptions.Default;

    /// <summary>
    /// What opens the folders that are reloaded by their path, or watched, where they hold what each rank has saved (<see cref="ShardedStateLoader.SaveModelAsync"/>). Default: null; they hold
    /// checkpoints.
    /// </summary>
    public ShardedStateLoader? Sharded { get; init; }

    /// <summary>The model's rank, whose share is read with <see cref="Sharded"/>. Default: 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is negative.</exception>
    public int Rank
    {
        get;
        init
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            field = value;
        }
    }

    /// <summary>What measures time. Default: the system's.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
