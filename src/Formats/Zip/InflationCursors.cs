using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Formats.Zip;

/// <summary>
/// The passes through the deflated records of one archive. What is inflated can only be read forward, so a reader continues
/// the pass that is nearest before it; passes that nobody is at wait here for that. However many records there are, and
/// however many readers, there are at most <see cref="Maximum"/> passes. Safe for any thread.
/// </summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "A semaphore holds nothing unless its wait handle is asked for.")]
internal sealed class InflationCursors
{
    /// <summary>
    /// The most passes: one for each reader of a machine with as many cores as inflating at the speed of a disk takes. Each
    /// holds about 50 KiB (zlib's window and DeflateStream's buffer), 180 KiB over a remote source.
    /// </summary>
    public const int Maximum = 16;

    private readonly SemaphoreSlim _turns = new(Maximum, Maximum);
    private readonly Lock _lock = new();

    // Passes that nobody is at, the one that was left first in front.
    private readonly List<InflationCursor> _idle = [];

    // Records of which no pass may wait here any more.
    private readonly HashSet<ZipEntry> _ended = new(ReferenceEqualityComparer.Instance);
    private int _taken;

    /// <summary>How many passes there are, for tests.</summary>
    internal int Count
    {
        get
        {
            lock (_lock)
            {
                return _idle.Count + _taken;
            }
        }
    }

    /// <summary>Takes the pass through a record that is nearest before an offset, or a new one, once there is a turn for it.</summary>
    /// <param name="entry">The record.</param>
    /// <param name="offset">Where the reader wants to read.</param>
    /// <param name="begin">Begins a pass.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>A pass at or before the offset: to be given back, or ended.</returns>
    /// <exception cref="ObjectDisposedException">The passes through this record were ended.</exception>
    public async ValueTask<InflationCursor> TakeAsync(
        ZipEntry entry, long offset, Func<InflationCursor> begin, CancellationToken cancellationToken)
    {
        await _turns.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            InflationCursor? nearest = null;
            InflationCursor? oldest = null;
            lock (_lock)
            {
                ObjectDisposedException.ThrowIf(_ended.Contains(entry), typeof(InflatedSource));
                foreach (var cursor in _idle)
                {
                    if (ReferenceEquals(cursor.Entry, entry) && cursor.Position <= offset && cursor.Position > (nearest?.Position ?? -1))
                    {
                        nearest = cursor;
                    }
                }

                if (nearest is not null)
                {
                    _idle.Remove(nearest);
                }
                else if (_idle.Count + _taken >= Maximum)
                {
                    // Not all are taken, or there would have been no turn.
                    oldest = _idle[0];
                    _idle.RemoveAt(0);
                }

                _taken++;
            }

            try
            {
                if (oldest is not null)
                {
                    await oldest.DisposeAsync().ConfigureAwait(false);
                }

                return nearest ?? begin();
            }
            catch
            {
                lock (_lock)
                {
                    _taken--;
                }

                throw;
            }
        }
        catch
        {
            _turns.Release();
            throw;
        }
    }

    /// <summary>Gives back a pass that others may continue, unless the passes through its record were ended meanwhile.</summary>
    public async ValueTask ReturnAsync(InflationCursor cursor)
    {
        bool isKept;
        lock (_lock)
        {
            isKept = !_ended.Contains(cursor.Entry);
            if (isKept)
            {
                _taken--;
                _idle.Add(cursor);
            }
        }

        if (isKept)
        {
            _turns.Release();
        }
        else
        {
            await EndAsync(cursor).ConfigureAwait(false);
        }
    }

    /// <summary>Ends a pass that has come to its end, or has failed.</summary>
    public async ValueTask EndAsync(InflationCursor cursor)
    {
        try
        {
            await cursor.DisposeAsync().ConfigureAwait(false);
        }
        finally
        {
            lock (_lock)
            {
                _taken--;
            }

            _turns.Release();
        }
    }

    /// <summary>Ends the passes through a record: those that nobody is at now, the others as they are given back.</summary>
    public async ValueTask EndAsync(ZipEntry entry)
    {
        List<InflationCursor> ended;
        lock (_lock)
        {
            _ = _ended.Add(entry);
            ended = _idle.FindAll(cursor => ReferenceEquals(cursor.Entry, entry));
            _idle.RemoveAll(cursor => ReferenceEquals(cursor.Entry, entry));
        }

        foreach (var cursor in ended)
        {
            await cursor.DisposeAsync().ConfigureAwait(false);
        }
    }
}
