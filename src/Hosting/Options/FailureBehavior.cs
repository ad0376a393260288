namespace IlgpuLoader.Hosting;

/// <summary>What becomes of the host when a model cannot be loaded.</summary>
public enum FailureBehavior
{
    /// <summary>The host stops, with what failed: whoever supervises the process sees it, and decides.</summary>
    Stop,

    /// <summary>The load is tried again with growing delays (<see cref="RetryOptions"/>); the host is not ready meanwhile.</summary>
    Retry,

    /// <summary>The host goes on without the model, which can be loaded by a call.</summary>
    Degrade,
}
