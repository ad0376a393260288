namespace IlgpuLoader.Formats.Pickle;

/// <summary>A list.</summary>
internal sealed class PickleList : PickleContainer
{
    /// <summary>What is in it, in order.</summary>
    public List<object> Items { get; } = [];

    internal override int ChildCount => Items.Count;

    internal override object? ChildAt(int index) => Items[index];
}
