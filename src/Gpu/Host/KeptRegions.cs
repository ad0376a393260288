using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;

namespace IlgpuLoader.Gpu;

/// <summary>
/// Mappings that were given back and wait, with the pages they have, for an allocation that they suit, up to a limit. Safe for any
/// thread.
/// </summary>
/// <remarks>
/// An allocation that none suits frees as much of what is kept as it takes itself (<see cref="MakeRoom"/>): what is kept and what is
/// in use together never grow beyond the larger of the limit and what was in use at once. It begins with what came last, since a load
/// asks in the order in which the load before gave back: what came first is wanted first. Where the limit is reached, it is
/// the oldest that go, which the last load did not want either.
/// </remarks>
internal sealed class KeptRegions
{
    // What is given out may be larger than what was asked for by an eighth of itself: few sizes match to the byte when another model
    // is loaded, and more than that would show in a budget.
    private const int LargestWasteDivisor = 8;

    private readonly Lock _lock = new();
    private readonly SortedSet<Kept> _byAge = new(Comparer<Kept>.Create((a, b) => a.Age.CompareTo(b.Age)));
    private readonly SortedSet<Kept> _bySize = new(
        Comparer<Kept>.Create((a, b) => (a.Region.Bytes, a.Age).CompareTo((b.Region.Bytes, b.Age))));

    private long _bytes;
    private long _presentBytes;
    private long _limit;
    private long _lent;
    private long _nextAge;

    /// <summary>Gives the mappings back when nobody can ask for them any more: a device has no other end.</summary>
    [SuppressMessage("Design", "MA0055:Do not use finalizer", Justification = "A host device is not disposed, and what it keeps is nobody else's.")]
    ~KeptRegions()
    {
        foreach (var kept in _byAge)
        {
            try
            {
                NativePages.Free(kept.Region);
            }
            catch (Win32Exception)
            {
                // The process has too many mappings for one to be cut out. Nobody is there to be told, and to end the process for it
                // would be worse than to leave it where it is.
            }
        }
    }

    /// <summary>The bytes that are kept at most; what is beyond a new limit is freed, the oldest first.</summary>
    public long Limit
    {
        get => Interlocked.Read(ref _limit);
        set
        {
            var unfit = new List<NativePages.Region>();
            lock (_lock)
            {
                Interlocked.Exchange(ref _limit, value);
                RemoveBeyond(value + _lent, unfit);
            }

            Free(unfit);
        }
    }

    /// <summary>Keeps so much more than the limit for a while; a negative number ends it, and frees what is beyond.</summary>
    /// <exception cref="Win32Exception">The operating system refused to take a mapping back.</exception>
    public void Lend(long bytes)
    {
        var unfit = new List<NativePages.Region>();
        lock (_lock)
        {
            _lent = checked(_lent + bytes);
            RemoveBeyond(_limit + _lent, unfit);
        }

        Free(unfit);
    }

    /// <summary>The bytes that are kept.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Those of the kept bytes that were made present, as far as is known: what freeing them would give to others.</summary>
    public long PresentBytes => Interlocked.Read(ref _presentBytes);

    /// <summary>Takes the smallest mapping that holds so many bytes and not many more; of several the oldest.</summary>
    /// <param name="bytes">The bytes, at least 1.</param>
    /// <param name="taken">The mapping, which is the caller's.</param>
    /// <returns>False where none suits.</returns>
    public bool TryTake(long bytes, out NativePages.Region taken)
    {
        taken = default;
        if (Bytes == 0)
        {
            return false;
        }

        lock (_lock)
        {
            var suiting = _bySize.GetViewBetween(Kept.OfSize(bytes, 0), Kept.OfSize(long.MaxValue, long.MaxValue)).Min;
            if (suiting is null || suiting.Region.Bytes - bytes > suiting.Region.Bytes / LargestWasteDivisor)
            {
                return false;
            }

            taken = Remove(suiting);
            return true;
        }
    }

    /// <summary>Frees what is kept until so many bytes are free that were not, the latest first.</summary>
    /// <returns>The bytes that were freed.</returns>
    /// <exception cref="Win32Exception">The operating system refused to take one back; the others are freed.</exception>
    public long MakeRoom(long bytes)
    {
        if (Bytes == 0)
        {
            return 0;
        }

        var unfit = new List<NativePages.Region>();
        lock (_lock)
        {
            for (long freed = 0; freed < bytes && _byAge.Max is { } latest; freed += latest.Region.Bytes)
            {
                unfit.Add(Remove(latest));
            }
        }

        return Free(unfit);
    }

    /// <summary>Keeps a mapping, and frees the oldest that have no room beside it; frees it itself where it is too large.</summary>
    /// <exception cref="Win32Exception">The operating system refused to take one back.</exception>
    public void Give(NativePages.Region region)
    {
        var unfit = new List<NativePages.Region>();
        lock (_lock)
        {
            if (region.Bytes <= _limit + _lent)
            {
                RemoveBeyond(_limit + _lent - region.Bytes, unfit);
                var kept = new Kept(region, _nextAge++);
                _byAge.Add(kept);
                _bySize.Add(kept);
                Count(region, 1);
            }
            else
            {
                unfit.Add(region);
            }
        }

        Free(unfit);
    }

    private void RemoveBeyond(long limit, List<NativePages.Region> removed)
    {
        while (_bytes > limit && _byAge.Min is { } oldest)
        {
            removed.Add(Remove(oldest));
        }
    }

    private NativePages.Region Remove(Kept kept)
    {
        _byAge.Remove(kept);
        _bySize.Remove(kept);
        Count(kept.Region, -1);
        return kept.Region;
    }

    // Nobody makes pages of it present while it is kept, so that the two numbers are the same at both ends.
    private void Count(in NativePages.Region region, int sign)
    {
        Interlocked.Add(ref _bytes, sign * region.Bytes);
        Interlocked.Add(ref _presentBytes, sign * (region.Presence?.ClaimedBytes ?? 0));
    }

    // Outside the lock: the kernel takes its time over gigabytes.
    private static long Free(List<NativePages.Region> regions)
    {
        AllOrNone.ForEach(regions, NativePages.Free);
        return regions.Sum(region => region.Bytes);
    }

    private sealed record Kept(NativePages.Region Region, long Age)
    {
        public static Kept OfSize(long bytes, long age) => new(new NativePages.Region(0, bytes, null), age);
    }
}
