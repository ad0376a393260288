namespace IlgpuLoader.Loading;

/// <summary>What is wrong in a cache of the Hub.</summary>
/// <param name="Path">The file.</param>
/// <param name="Problem">What is wrong, and what to do.</param>
public sealed record HubCacheProblem(string Path, string Problem);
