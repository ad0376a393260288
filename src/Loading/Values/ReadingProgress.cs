namespace IlgpuLoader.Loading;

/// <summary>
/// Adds up what workers have read side by side, reports it so that counts only grow, and ends them where the caller wants
/// it.
/// </summary>
/// <param name="progress">Who is told; null for nobody. Called under a lock; must return soon.</param>
/// <param name="totalBytes">Bytes to read in all.</param>
/// <param name="remaining">For each item the elements that are still to be read; an item without any is complete.</param>
/// <param name="cancellationToken">
/// The caller's own token. A parallel loop hands its workers another one, which a callback on the thread pool may have to
/// cancel while the workers keep every thread of the pool.
/// </param>
internal sealed class ReadingProgress(
    IProgress<LoadProgress>? progress, long totalBytes, long[] remaining, CancellationToken cancellationToken)
{
    private readonly Lock _lock = new();
    private long _bytes;
    private int _items = remaining.Count(elements => elements == 0);

    /// <summary>Counts a piece.</summary>
    /// <exception cref="OperationCanceledException">The caller wants no more.</exception>
    public void Add(int item, long elements, long bytes)
    {
        cancellationToken.ThrowIfCancellationRequested();
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
