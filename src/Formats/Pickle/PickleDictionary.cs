namespace IlgpuLoader.Formats.Pickle;

/// <summary>A dict. Nothing is hashed: keys are any values, and one that was set twice is there twice; the last counts.</summary>
internal sealed class PickleDictionary : PickleContainer
{
    /// <summary>What was set, in order.</summary>
    public List<KeyValuePair<object, object>> Entries { get; } = [];

    internal override int ChildCount => 2 * Entries.Count;

    internal override object? ChildAt(int index) => (index & 1) == 0 ? Entries[index / 2].Key : Entries[index / 2].Value;
}
