namespace IlgpuLoader.Hosting;

/// <summary>Whether the service that loads models lives: it says so itself when it ends by a failure. One a container. Safe for any thread.</summary>
internal sealed class ServiceLiveness
{
    private volatile Exception? _failure;

    /// <summary>What the service has ended by; null while it lives, and where it was asked to stop.</summary>
    public Exception? Failure => _failure;

    /// <summary>Says that the service has ended by a failure; the first is kept.</summary>
    public void Fail(Exception failure)
    {
        ArgumentNullException.ThrowIfNull(failure);
        _ = Interlocked.CompareExchange(ref _failure, failure, null);
    }
}
