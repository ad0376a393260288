namespace IlgpuLoader.Formats.Pickle;

/// <summary>A dict. Nothing is hashed: keys are any values, and one that was set twice is there twice; the last counts.</summary>
internal sealed class PickleDictionary : PickleContainer
{
    /// <summary>What was set, in order.</summary>
    public List<KeyValuePair<object, object>> Entries { get; } = [];
}
