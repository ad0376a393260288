namespace IlgpuLoader.Formats;

/// <summary>What a path or an address means: a place, and the file in it that is meant.</summary>
/// <param name="Place">Where the files lie.</param>
/// <param name="File">The base name of the file that is meant; null for whatever checkpoint lies there.</param>
public sealed record CheckpointLocation(ICheckpointPlace Place, string? File);
