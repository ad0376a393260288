namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// A value that holds others. Compared by identity only: graphs may share values so often that walking one takes forever,
/// or lead back to themselves.
/// </summary>
internal abstract class PickleContainer
{
    /// <summary>
    /// How many containers lie inside one another from here, this one included, as far as was known when the last value was
    /// put in; the reader holds the final graph against its limit.
    /// </summary>
    public int Depth { get; internal set; } = 1;

    /// <summary>Whether another container holds this one, so that its depth counts elsewhere.</summary>
    internal bool IsHeld { get; set; }
}
