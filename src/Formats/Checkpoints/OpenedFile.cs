namespace IlgpuLoader.Formats;

/// <summary>A file of a checkpoint that is being put together.</summary>
/// <param name="File">The file.</param>
/// <param name="Content">What its header says.</param>
internal sealed record OpenedFile(CheckpointFile File, FileContent Content);
