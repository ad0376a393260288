namespace IlgpuLoader.Gpu;

/// <summary>
/// A point of a <see cref="DeviceStream"/>: what was given to the stream before it is done once it has passed. Memory
/// that the work uses is given back behind it.
/// </summary>
public abstract class Fence
{
    /// <summary>A fence that has passed: the host's, whose work is done at once.</summary>
    public static Fence Passed { get; } = new PassedFence();

    /// <summary>Whether the device has passed this point.</summary>
    public abstract bool HasPassed { get; }

    /// <summary>Waits until the device has passed this point.</summary>
    public abstract ValueTask WaitAsync(CancellationToken cancellationToken = default);

    private sealed class PassedFence : Fence
    {
        public override bool HasPassed => true;

        public override ValueTask WaitAsync(CancellationToken cancellationToken = default) => ValueTask.CompletedTask;
    }
}
