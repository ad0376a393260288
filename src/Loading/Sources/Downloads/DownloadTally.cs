namespace IlgpuLoader.Loading;

/// <summary>
/// Counts a download over all its files and reports it, at most once per interval. Nothing is reported before all that is wanted is counted (<see cref="Begin"/>): a part of it would be taken for
/// the whole. Safe for any thread.
/// </summary>
/// <param name="progress">Who is told; null for nobody.</param>
/// <param name="time">The clock.</param>
internal sealed class DownloadTally(IProgress<DownloadProgress>? progress, TimeProvider time)
{
    // Quicker than the eye, and nothing beside the reads of a fast network.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly Lock _lock = new();
    private DownloadProgress _now;
    private DownloadProgress _last;
    private long _reported;
    private bool _hasBegun;
    private bool _isReporting;

    /// <summary>What has been counted.</summary>
    public DownloadProgress Now
    {
        get
        {
            lock (_lock)
            {
                return _now;
            }
        }
    }

    /// <summary>All that is wanted is counted: reports it, and what changes from here on.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            _hasBegun = true;
        }

        Count(now => now, always: true);
    }

    /// <summary>The download is over, however it ended: reports what was counted since the last report.</summary>
    public void End()
    {
        lock (_lock)
        {
            if (_now == _last)
            {
                return;
            }
        }

        Count(now => now, always: true);
    }

    /// <summary>Adds a file that is wanted.</summary>
    /// <param name="length">Its size in bytes.</param>
    public void Expect(long length) => Count(now => now with { TotalFiles = now.TotalFiles + 1, TotalBytes = checked(now.TotalBytes + length) });

    /// <summary>Adds bytes that were there before, or takes back what turned out wrong.</summary>
    /// <param name="bytes">Their number; negative takes them back.</param>
    public void AddPresent(long bytes) => Count(now => now with { Bytes = now.Bytes + bytes });

    /// <summary>Adds files that stand in for a download.</summary>
    /// <param name="lengths">Their sizes in bytes.</param>
    public void AddOld(IEnumerable<long> lengths)
    {
        foreach (var length in lengths)
        {
            Expect(length);
            AddPresent(length);
            AddFile();
        }
    }

    /// <summary>Adds bytes that were fetched.</summary>
    /// <param name="bytes">Their number.</param>
    public void AddFetched(long bytes) => Count(now => now with { Bytes = now.Bytes + bytes, FetchedBytes = now.FetchedBytes + bytes });

    /// <summary>Adds a file that is there.</summary>
    public void AddFile() => Count(now => now with { Files = now.Files + 1 }, always: true);

    private void Count(Func<DownloadProgress, DownloadProgress> change, bool always = false)
    {
        DownloadProgress report;
        lock (_lock)
        {
            _now = change(_now);
            // One at a time, so that no report overtakes another; the end is reported by whoever is there then.
            if (progress is null || !_hasBegun || (!always && time.GetElapsedTime(_reported) < Interval) || _isReporting)
            {
                return;
            }

            _isReporting = true;
            report = _last = _now;
        }

        while (true)
        {
            try
            {
                progress.Report(report);
            }
            finally
            {
                lock (_lock)
                {
                    _reported = time.GetTimestamp();
                    _isReporting = false;
                }
            }

            lock (_lock)
            {
                // A file that ended meanwhile was not reported.
                if (_isReporting || _now.Files == report.Files)
                {
                    return;
                }

                _isReporting = true;
                report = _last = _now;
            }
        }
    }
}
