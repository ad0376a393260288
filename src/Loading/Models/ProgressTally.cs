namespace IlgpuLoader.Loading;

/// <summary>Counts what several threads have done, and reports it in order.</summary>
internal sealed class ProgressTally(IProgress<LoadProgress>? progress, long totalBytes, int totalTensors)
{
    private readonly Lock _lock = new();
    private long _bytes;
    private int _tensors;

    /// <summary>Adds a piece of a tensor; the report is made under the lock, so that counts only grow.</summary>
    public void Add(int bytes, bool tensorDone)
    {
        lock (_lock)
        {
            _bytes += bytes;
            _tensors += tensorDone ? 1 : 0;
            progress?.Report(new LoadProgress(_bytes, totalBytes, _tensors, totalTensors));
        }
    }
}
