namespace IlgpuLoader.Formats.Pickle;

/// <summary>A set or frozenset. Nothing is hashed: a value that was added twice is there twice.</summary>
internal sealed class PickleSet : PickleContainer
{
    /// <summary>What was added, in order.</summary>
    public List<object> Items { get; } = [];

    internal override int ChildCount => Items.Count;

    internal override object? ChildAt(int index) => Items[index];
}
