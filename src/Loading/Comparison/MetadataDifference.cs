namespace IlgpuLoader.Loading;

/// <summary>One key of the metadata that two checkpoints do not share with the same value.</summary>
/// <param name="Key">The key.</param>
/// <param name="Left">The first checkpoint's value; null where it has none.</param>
/// <param name="Right">The second checkpoint's value; null where it has none.</param>
public sealed record MetadataDifference(string Key, object? Left, object? Right);
