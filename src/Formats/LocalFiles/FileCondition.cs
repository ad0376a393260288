namespace IlgpuLoader.Formats;

/// <summary>What a file is like to read now.</summary>
/// <param name="FileSystem">Where its bytes are.</param>
/// <param name="Direct">What reads past the page cache are aligned to; null where the file system has none.</param>
/// <param name="ResidentShare">How much of it is in the page cache, from 0 to 1; null where the system does not say.</param>
public readonly record struct FileCondition(FileSystemKind FileSystem, DirectAlignment? Direct, double? ResidentShare);
