namespace IlgpuLoader.Hosting;

/// <summary>A part of a load and the time that it took. Times of lanes, which work side by side, are their mean, so that stages add up to about the whole.</summary>
/// <param name="Name">
/// <c>open</c>, <c>plan</c>, <c>touch</c> (fresh pages are made present), <c>read</c>, <c>hash</c>, <c>upload</c> (copies to where tensors are), <c>decode</c> (blocks and dtypes that change),
/// <c>process</c> (quantisation methods).
/// </param>
/// <param name="Elapsed">The time.</param>
public readonly record struct LoadStage(string Name, TimeSpan Elapsed);
