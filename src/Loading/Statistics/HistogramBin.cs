namespace IlgpuLoader.Loading;

/// <summary>One bin of a histogram.</summary>
/// <param name="Lower">Its lower end, which belongs to it.</param>
/// <param name="Upper">
/// Its upper end: of integers and BOOL the largest that belongs to it, of others the lower end of the next bin, and the
/// largest value of all in the last bin.
/// </param>
/// <param name="Count">The values in it.</param>
public readonly record struct HistogramBin(StoredValue Lower, StoredValue Upper, long Count);
