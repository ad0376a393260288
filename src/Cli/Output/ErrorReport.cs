using IlgpuLoader.Formats;
using IlgpuLoader.Hosting;
using IlgpuLoader.Loading;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Cli.Output;

/// <summary>Says what went wrong: one line for people, a document for programs, and the exit code.</summary>
internal static class ErrorReport
{
    /// <summary>Writes the error and gives the exit code.</summary>
    public static int Write(CommandConsole console, Exception exception)
    {
        var exitCode = ExitCodes.For(exception);
        var messages = exception switch
        {
            OperationCanceledException => ["cancelled"],
            OptionsValidationException options => [.. options.Failures.Select(Quoted.Plain)],
            _ => new[] { Quoted.Plain(exception.Message) },
        };
        foreach (var line in messages)
        {
            console.Error.WriteLine(exitCode == ExitCodes.Unexpected ? $"unexpected error: {exception.GetType().Name}: {line}" : $"error: {line}");
        }

        if (console.Verbose)
        {
            console.Error.WriteLine(exception);
        }

        if (console.Json)
        {
            var error = new ErrorDetails(
                CodeOf(exception), string.Join("; ", messages), exitCode, FileOf(exception), TensorOf(exception));
            JsonOutput.Write(console.Out, new ErrorDocument(error), CliJsonContext.Default.ErrorDocument);
        }

        return exitCode;
    }

    /// <summary>The short word for what went wrong.</summary>
    public static string CodeOf(Exception exception) => exception switch
    {
        ModelNotAvailableException { InnerException: { } failure } => CodeOf(failure),
        CheckpointException checkpoint => checkpoint.Code.ToString(),
        OptionsValidationException => "Configuration",
        RemoteException remote => remote.Failure.ToString(),
        FileNotFoundException { InnerException: RemoteException remote } => remote.Failure.ToString(),
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
        ModelNotAvailableException { InnerException: { } failure } => FileOf(failure),
        CheckpointException checkpoint => checkpoint.File,
        RemoteException remote => remote.Address,
        FileNotFoundException missing => missing.FileName,
        _ => null,
    };

    private static string? TensorOf(Exception exception) => exception switch
    {
        ModelNotAvailableException { InnerException: { } failure } => TensorOf(failure),
        InvalidCheckpointException invalid => invalid.Tensor,
        UnsupportedCheckpointException unsupported => unsupported.Tensor,
        TensorNotFoundException missing => missing.Tensor,
        _ => null,
    };
}
