using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A point of a device's work that is passed when the test says so.</summary>
internal sealed class ManualFence : Fence
{
    private readonly TaskCompletionSource _passed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override bool HasPassed => _passed.Task.IsCompletedSuccessfully;

    /// <summary>How often the fence was waited for.</summary>
    public int WaitCount { get; private set; }

    public void Pass() => _passed.TrySetResult();

    public void Fail(Exception exception) => _passed.TrySetException(exception);

    public override async ValueTask WaitAsync(CancellationToken cancellationToken = default)
    {
        WaitCount++;
        await _passed.Task.WaitAsync(cancellationToken);
    }
}
