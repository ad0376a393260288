namespace IlgpuLoader.Loading;

/// <summary>Elements of a stored tensor that go to a place in a parameter: what a loader did with a weight.</summary>
/// <param name="Source">What is copied.</param>
/// <param name="Place">Where it goes, in the same shape but for a single element.</param>
internal sealed record RecordedCopy(StoredView Source, ParameterPlace Place);
