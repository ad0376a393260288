namespace IlgpuLoader.Formats.Pickle;

/// <summary>
/// A value that holds others. Compared by identity only: graphs may share values so often that walking one takes forever,
/// or lead back to themselves.
/// </summary>
internal abstract class PickleContainer
{
    /// <summary>
    /// How many containers lie inside one another from here, this one included. No graph that a reader gives is deeper than its
    /// limit; where one leads back to itself, what leads back is not followed.
    /// </summary>
    public int Depth { get; internal set; } = 1;

    /// <summary>How many children <see cref="ChildAt"/> knows.</summary>
    internal abstract int ChildCount { get; }

    /// <summary>Whether another container holds this one, so that its depth counts elsewhere.</summary>
    internal bool IsHeld { get; set; }

    /// <summary>How far <see cref="PickleDepth"/> has come with it.</summary>
    internal PickleVisit Visit { get; set; }

    /// <summary>One of the values that this one holds, null where there is none in that place.</summary>
    internal abstract object? ChildAt(int index);
}
