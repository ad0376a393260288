namespace IlgpuLoader.Formats;

/// <summary>How one tensor differs from what a manifest says of it.</summary>
/// <param name="Tensor">The tensor's name.</param>
/// <param name="Problem">What was expected, and what is there.</param>
public sealed record ManifestMismatch(string Tensor, string Problem);
