namespace IlgpuLoader.Loading;

/// <summary>A weight that a model knows and has no use for.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Reason">Why, in a few words.</param>
public sealed record SkippedWeight(string Name, string Reason);
