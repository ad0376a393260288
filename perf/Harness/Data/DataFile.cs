namespace IlgpuLoader.Harness;

/// <summary>A file, or a folder, that a scenario makes in the data folder where it is missing.</summary>
/// <param name="Name">Its name there.</param>
/// <param name="Bytes">About what it takes of the disk.</param>
/// <param name="IsKept">Whether it stays for later runs; else it is there only for a while.</param>
internal sealed record DataFile(string Name, long Bytes, bool IsKept = true);
