namespace IlgpuLoader.Loading;

/// <summary>How many elements a weight loader would write (<see cref="MetaTensors.GetNumelLoaded(WeightLoader, Parameter, Weight, ShardId)"/>).</summary>
/// <param name="Count">The elements of its copies and fills.</param>
/// <param name="IsCounted">
/// Whether that is all it writes. It is not known of a loader that looks at values of the weight, which are not there: the count is what it wrote before, and it may write more. One that has
/// written and then works on the parameter's own values writes nothing new.
/// </param>
public readonly record struct ElementsLoaded(long Count, bool IsCounted);
