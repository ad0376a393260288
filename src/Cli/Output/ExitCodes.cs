using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Hosting;
using IlgpuLoader.Loading;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Cli.Output;

/// <summary>What the tool's exit codes mean; scripts rely on them (README, "The tool").</summary>
internal static class ExitCodes
{
    public const int Success = 0;
    public const int Unexpected = 1;
    public const int Usage = 2;
    public const int Unreadable = 3;
    public const int InvalidCheckpoint = 4;
    public const int CannotDo = 5;
    public const int Different = 6;
    public const int DeviceOrMemory = 7;
    public const int Network = 8;
    public const int Cancelled = 130;

    /// <summary>The exit code that a failure ends the tool with.</summary>
    public static int For(Exception exception) => exception switch
    {
        OperationCanceledException => Cancelled,
        // A service says which model it was; what failed is inside.
        ModelNotAvailableException { InnerException: { } failure } => For(failure),
        OptionsValidationException => Usage,
        DeviceMemoryException or DeviceUnavailableException or DeviceFailureException or OutOfMemoryException => DeviceOrMemory,
        ManifestMismatchException => Different,
        // The state is whole; it is another number of ranks' than was asked for.
        InvalidCheckpointException { Code: CheckpointErrorCode.WorldSizeMismatch } => CannotDo,
        UnsupportedCheckpointException or TensorNotFoundException or ModelMismatchException => CannotDo,
        CheckpointException => InvalidCheckpoint,
        RemoteException { Failure: RemoteFailure.Network } => Network,
        RemoteException { Failure: RemoteFailure.Corrupt } => Different,
        IOException or UnauthorizedAccessException => Unreadable,
        UsageException => Usage,
        _ => Unexpected,
    };
}
