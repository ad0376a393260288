namespace IlgpuLoader.Gpu;

/// <summary>
/// Which parts of a mapping have been made present: a bit for each piece of a huge page's size. Whoever sets a piece's bit makes
/// it present, and nobody does so twice, however many small ranges of it are asked for. Safe for any thread.
/// </summary>
/// <remarks>
/// A piece whose bit is set may still be under way on the thread that has claimed it. Writing to it meanwhile is right all the
/// same: the kernel then makes the page that is missing, and its call for making pages present never changes one that is there.
/// </remarks>
/// <param name="bytes">The size of the mapping.</param>
internal sealed class PagePresence(long bytes)
{
    /// <summary>The size of a piece but for the last, which ends with the mapping: that of a huge page, which is made whole or not at all.</summary>
    public const long PieceBytes = NativePages.HugePage;

    private readonly ulong[] _claimed = new ulong[(PieceCount(bytes) + 63) / 64];
    private long _unclaimed = PieceCount(bytes);

    /// <summary>Whether every piece is claimed.</summary>
    public bool IsComplete => Volatile.Read(ref _unclaimed) == 0;

    /// <summary>The bytes that are claimed at least: where a piece is missing, it may be the short one at the end, and counts as whole.</summary>
    public long ClaimedBytes => bytes - Math.Min(bytes, Volatile.Read(ref _unclaimed) * PieceBytes);

    /// <summary>Claims the next pieces side by side, of those that lie in a range or reach into it, which nobody has claimed.</summary>
    /// <param name="position">Where to look from; moved behind what is claimed.</param>
    /// <param name="end">The range's end.</param>
    /// <param name="claimed">Whole pieces, clipped to the mapping, which the caller makes present now.</param>
    /// <returns>False where none is left.</returns>
    public bool TryClaim(ref long position, long end, out (long Offset, long Length) claimed)
    {
        var (first, last) = (position / PieceBytes, PieceCount(end));
        while (first < last && !Claim(first))
        {
            first++;
        }

        if (first >= last)
        {
            position = end;
            claimed = default;
            return false;
        }

        var next = first + 1;
        while (next < last && Claim(next))
        {
            next++;
        }

        position = next * PieceBytes;
        claimed = (first * PieceBytes, Math.Min(position, bytes) - (first * PieceBytes));
        return true;
    }

    /// <summary>Says that everything is present.</summary>
    public void Complete()
    {
        var position = 0L;
        while (!IsComplete && TryClaim(ref position, bytes, out _))
        {
        }
    }

    private static long PieceCount(long bytes) => (bytes / PieceBytes) + (bytes % PieceBytes == 0 ? 0 : 1);

    private bool Claim(long piece)
    {
        var bit = 1UL << (int)(piece % 64);
        ref var word = ref _claimed[piece / 64];
        // Read first: most of what small tensors ask for is there, and reading does not take the line from other cores.
        if ((Volatile.Read(ref word) & bit) != 0 || (Interlocked.Or(ref word, bit) & bit) != 0)
        {
            return false;
        }

        Interlocked.Decrement(ref _unclaimed);
        return true;
    }
}
