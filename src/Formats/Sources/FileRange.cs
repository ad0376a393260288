namespace IlgpuLoader.Formats;

/// <summary>Where bytes of a source lie in a local file, as they are.</summary>
/// <param name="File">The file.</param>
/// <param name="Offset">The first byte, from the start of the file.</param>
public readonly record struct FileRange(LocalFileSource File, long Offset);
