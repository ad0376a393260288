using IlgpuLoader.Formats;

namespace IlgpuLoader.Cli.Output;

/// <summary>Says what went wrong: one line for people, a document for programs, and the exit code.</summary>
internal static class ErrorReport
{
    /// <summary>Writes the error and gives the exit code.</summary>
    public static int Write(CommandConsole console, Exception exception)
    {
        var exitCode = ExitCodes.For(exception);
        var message = exception is OperationCanceledException ? "cancelled" : Quoted.Plain(exception.Message);
        console.Error.WriteLine(exitCode == ExitCodes.Unexpected ? $"unexpected error: {exception.GetType().Name}: {message}" : $"error: {message}");
        if (console.Verbose)
        {
            console.Error.WriteLine(exception);
        }

        if (console.Json)
        {
            var error = new ErrorDetails(
                CodeOf(exception), message, exitCode, FileOf(exception), TensorOf(exception));
            JsonOutput.Write(console.Out, new ErrorDocument(error), CliJsonContext.Default.ErrorDocument);
        }

        return exitCode;
    }

    private static string CodeOf(Exception exception) => exception switch
    {
        CheckpointException checkpoint => checkpoint.Code.ToString(),
        OperationCanceledException => "Cancelled",
        UsageException => "Usage",
        IOException or UnauthorizedAccessException => "Unreadable",
        Gpu.DeviceMemoryException or OutOfMemoryException => "DeviceMemory",
        Gpu.DeviceUnavailableException => "DeviceUnavailable",
        Gpu.DeviceFailureException => "DeviceFailure",
        _ => "Unexpected",
    };

    private static string? FileOf(Exception exception) => exception switch
    {
        CheckpointException checkpoint => checkpoint.File,
        FileNotFoundException missing => missing.FileName,
        _ => null,
    };

    private static string? TensorOf(Exception exception) => exception switch
    {
        InvalidCheckpointException invalid => invalid.Tensor,
        UnsupportedCheckpointException unsupported => unsupported.Tensor,
        TensorNotFoundException missing => missing.Tensor,
        _ => null,
    };
}
