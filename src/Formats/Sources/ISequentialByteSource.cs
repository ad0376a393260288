namespace IlgpuLoader.Formats;

/// <summary>
/// A source of which parts cost what lies before them: they can only be read forward, as what is inflated can. Whoever wants to jump in
/// them reads them once and jumps in memory.
/// </summary>
public interface ISequentialByteSource : IByteSource
{
    /// <summary>Whether the part with this offset can only be read forward.</summary>
    /// <param name="offset">An offset in bytes from the start.</param>
    /// <exception cref="ArgumentOutOfRangeException">The offset is negative.</exception>
    bool IsSequentialAt(long offset);
}
