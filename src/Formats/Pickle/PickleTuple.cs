namespace IlgpuLoader.Formats.Pickle;

/// <summary>A tuple.</summary>
/// <param name="items">What is in it; the array becomes the tuple's own.</param>
internal sealed class PickleTuple(object[] items) : PickleContainer
{
    /// <summary>The empty one, of which there is only one.</summary>
    public static PickleTuple Empty { get; } = new([]) { IsHeld = true };

    /// <summary>What is in it, in order.</summary>
    public object[] Items { get; } = items;

    internal override int ChildCount => Items.Length;

    internal override object? ChildAt(int index) => Items[index];
}
