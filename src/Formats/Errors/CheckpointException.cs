namespace IlgpuLoader.Formats;

/// <summary>
/// The root of everything that can be wrong with a checkpoint. Wrong arguments are BCL exceptions, unreadable files
/// are <see cref="IOException"/> or <see cref="UnauthorizedAccessException"/>, cancellation is
/// <see cref="OperationCanceledException"/>.
/// </summary>
public abstract class CheckpointException : Exception
{
    private protected CheckpointException(
        CheckpointErrorCode code, string? file, string message, string? format = null, Exception? innerException = null)
        : base(file is null ? message : $"{Quoted.Plain(file)}: {message}", innerException)
    {
        Code = code;
        File = file;
        Format = format;
    }

    /// <summary>What is wrong, for programs.</summary>
    public CheckpointErrorCode Code { get; }

    /// <summary>The file or folder concerned, where there is one.</summary>
    public string? File { get; }

    /// <summary>The container format concerned, such as <c>safetensors</c>, where it was known.</summary>
    public string? Format { get; }
}
