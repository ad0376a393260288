namespace IlgpuLoader.Loading;

/// <summary>How plain reads are made.</summary>
/// <param name="Lanes">Threads that read side by side.</param>
/// <param name="BlockBytes">The size of a read.</param>
/// <param name="IsDirect">Whether they go past the page cache.</param>
internal readonly record struct ReadSetting(int Lanes, int BlockBytes, bool IsDirect = false)
{
    // What the loader's own reads are held against: all of them are tried, and the fastest counts.
    private static readonly int[] LaneCounts = [1, 2, 4];
    private static readonly int[] BlockSizes = [1 << 20, 4 << 20, 16 << 20];

    // A disk wants more in flight than a page cache.
    private static readonly int[] DirectLaneCounts = [2, 4, 8, 16];

    /// <summary>Through the page cache.</summary>
    public static IEnumerable<ReadSetting> Buffered => from lanes in LaneCounts from block in BlockSizes select new ReadSetting(lanes, block);

    /// <summary>Past the page cache.</summary>
    public static IEnumerable<ReadSetting> Direct =>
        from lanes in DirectLaneCounts from block in BlockSizes select new ReadSetting(lanes, block, IsDirect: true);

    /// <summary>The words of a report.</summary>
    public override string ToString() =>
        $"plain reads, {(IsDirect ? "O_DIRECT, " : "")}{Lanes} {(Lanes == 1 ? "lane" : "lanes")} x {(BlockBytes >= 1 << 20 ? $"{BlockBytes >> 20} MiB" : $"{BlockBytes >> 10} KiB")}";
}
