namespace IlgpuLoader.Loading;

/// <summary>Adds up what workers have read side by side and reports it so that counts only grow.</summary>
/// <param name="progress">Who is told; null for nobody. Called under a lock; must return soon.</param>
/// <param name="totalBytes">Bytes to read in all.</param>
/// <param name="remaining">For each item the elements that are still to be read; an item without any is complete.</param>
internal sealed class ReadingProgress(IProgress<LoadProgress>? progress, long totalBytes, long[] remaining)
{
    private readonly Lock _lock = new();
    private long _bytes;
    private int _items = remaining.Count(elements => elements == 0);

    /// <summary>Counts a piece.</summary>
    public void Add(int item, long elements, long bytes)
    {
        if (progress is null)
        {
            return;
        }

        lock (_lock)
        {
            _bytes += bytes;
            remaining[item] -= elements;
            _items += remaining[item] == 0 ? 1 : 0;
            progress.Report(new LoadProgress(_bytes, totalBytes, _items, remaining.Length));
        }
    }
}
