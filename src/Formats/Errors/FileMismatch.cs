namespace IlgpuLoader.Formats;

/// <summary>How one file differs from what a rank's manifest says of it.</summary>
/// <param name="File">The file's base name.</param>
/// <param name="Problem">What was expected, and what is there.</param>
public sealed record FileMismatch(string File, string Problem);
