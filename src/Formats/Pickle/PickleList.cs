namespace IlgpuLoader.Formats.Pickle;

/// <summary>A list.</summary>
internal sealed class PickleList : PickleContainer
{
    /// <summary>What is in it, in order.</summary>
    public List<object> Items { get; } = [];
}
