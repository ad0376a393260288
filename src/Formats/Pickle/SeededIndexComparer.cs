namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// Compares indexes with a hash that no file can foresee. .NET hashes a number to itself: a pickle of 75,000 indexes that are
/// all multiples of a dictionary's size would put every one into one bucket, and each look-up would go through all of them.
/// </summary>
internal sealed class SeededIndexComparer : IEqualityComparer<uint>
{
    /// <summary>The only one; it has no state.</summary>
    public static SeededIndexComparer Instance { get; } = new();

    /// <inheritdoc/>
    public bool Equals(uint x, uint y) => x == y;

    /// <inheritdoc/>
    // HashCode begins with a number that is drawn once a process.
    public int GetHashCode(uint obj) => HashCode.Combine(obj);
}
