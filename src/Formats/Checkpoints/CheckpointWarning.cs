namespace IlgpuLoader.Formats;

/// <summary>Something odd that does not keep a checkpoint from being read.</summary>
/// <param name="File">The file or folder concerned.</param>
/// <param name="Message">What is odd, and what was done.</param>
public sealed record CheckpointWarning(string File, string Message)
{
    /// <summary>File and message in one line.</summary>
    public override string ToString() => $"{Quoted.Plain(File)}: {Message}";
}
