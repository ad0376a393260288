using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>The short words for what can go wrong, for programs, metrics and logs.</summary>
public static class FailureCode
{
    /// <summary>Nobody foresaw it.</summary>
    public const string Unexpected = nameof(Unexpected);

    /// <summary>A file is not there or cannot be read.</summary>
    public const string Unreadable = nameof(Unreadable);

    /// <summary>A device, or the host, has not enough memory.</summary>
    public const string DeviceMemory = nameof(DeviceMemory);

    /// <summary>There is no such device, or it cannot be used.</summary>
    public const string DeviceUnavailable = nameof(DeviceUnavailable);

    /// <summary>A device, or its driver, has failed.</summary>
    public const string DeviceFailure = nameof(DeviceFailure);

    /// <summary>A reload has found every layer leased for longer than it waits.</summary>
    public const string Busy = nameof(Busy);

    /// <summary>The weights do not fit the model: some are missing, or go nowhere.</summary>
    public const string Mismatch = nameof(Mismatch);

    /// <summary>It was cancelled.</summary>
    public const string Cancelled = nameof(Cancelled);

    /// <summary>The code of a failure: that of the <see cref="CheckpointException"/> which it is or was caused by, that of the <see cref="RemoteException"/>, or one of the words here.</summary>
    /// <param name="exception">The failure.</param>
    public static string Of(Exception exception) => exception switch
    {
        CheckpointException checkpoint => checkpoint.Code.ToString(),
        ReloadFailedException or ModelReloadException or ModelNotAvailableException when exception.InnerException is { } inner => Of(inner),
        NothingReplacedException nothing => nothing.IsBusy ? Busy : Mismatch,
        OperationCanceledException => Cancelled,
        RemoteException remote => remote.Failure.ToString(),
        FileNotFoundException { InnerException: RemoteException remote } => remote.Failure.ToString(),
        IOException or UnauthorizedAccessException => Unreadable,
        DeviceMemoryException or OutOfMemoryException => DeviceMemory,
        DeviceUnavailableException => DeviceUnavailable,
        DeviceFailureException => DeviceFailure,
        _ => Unexpected,
    };
}
