namespace IlgpuLoader.Hosting;

/// <summary>A status as JSON has it.</summary>
internal static class ModelDescriptions
{
    public static ModelDescription Of(ModelStatus status) => new(
        status.Name,
        status.State.ToString(),
        status.Since.UtcDateTime,
        status.IsRequired,
        status.IsAvailable,
        status.Path,
        status.Layout.ToString(),
        status.Device,
        status.Format,
        status.Download is { } download ? OfDownload(download) : null,
        OfProgress(status),
        status.TensorCount,
        status.MemoryBytes,
        [.. status.DTypes.Select(total => new DTypeDescription(total.DType, total.Tensors, total.Bytes))],
        status.Version,
        status.LoadedAt?.UtcDateTime,
        status.LastLoad is { } load ? OfLoad(load) : null,
        status.Failure is { } failure ? OfFailure(failure) : null);

    /// <summary>How much of a load is done, 0 to 1; by bytes, and by tensors where there are none.</summary>
    public static double Fraction(Loading.LoadProgress progress) => progress switch
    {
        { TotalBytes: > 0 } => Math.Clamp((double)progress.BytesRead / progress.TotalBytes, 0, 1),
        { TotalTensors: > 0 } => Math.Clamp((double)progress.TensorsLoaded / progress.TotalTensors, 0, 1),
        _ => 0,
    };

    private static DownloadDescription OfDownload(ModelDownload download) =>
        new(download.Files, download.TotalFiles, download.Bytes, download.TotalBytes, download.Fraction, download.BytesPerSecond);

    private static ProgressDescription? OfProgress(ModelStatus status) => status.Progress is { } progress
        ? new(progress.BytesRead, progress.TotalBytes, progress.TensorsLoaded, progress.TotalTensors, Fraction(progress), status.BytesPerSecond)
        : null;

    private static LoadDescription OfLoad(CompletedLoad load) => new(
        load.IsReload,
        load.Elapsed.TotalSeconds,
        load.BytesRead,
        load.BytesPerSecond,
        load.OldLayers,
        [.. load.Stages.Select(stage => new StageDescription(stage.Name, stage.Elapsed.TotalSeconds))]);

    private static FailureDescription OfFailure(ModelFailure failure) => new(
        failure.Code, failure.Message, failure.At.UtcDateTime, failure.Attempt, failure.NextAttemptAt?.UtcDateTime, failure.IsReload);
}
