using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>What the check of the models (<see cref="IlgpuLoaderHealth.ModelsCheck"/>) has of a model in its data, under the model's name. Immutable.</summary>
/// <param name="State">What the model is doing.</param>
/// <param name="IsRequired">Whether the host is ready only when it is loaded.</param>
/// <param name="IsAvailable">Whether it can be leased.</param>
/// <param name="Percent">How many percent of the bytes, rounded down, a load or reload that runs has read; null while none does, and until its plan is made.</param>
/// <param name="Code">The code of the last failure (<see cref="ModelFailure.Code"/>); null where there is none.</param>
/// <param name="Version">The model's version (<see cref="ModelStatus.Version"/>).</param>
public sealed record ModelHealth(ModelState State, bool IsRequired, bool IsAvailable, int? Percent, string? Code, long Version)
{
    /// <summary>How many percent of the bytes, rounded down, are there of a download that a load or reload waits for; null while there is none.</summary>
    public int? DownloadPercent { get; init; }

    /// <summary>What a status says of health.</summary>
    internal static ModelHealth Of(ModelStatus status) =>
        new(status.State, status.IsRequired, status.IsAvailable, PercentOf(status.Progress), status.Failure?.Code, status.Version)
        {
            DownloadPercent = status.Download is { } download ? (int)(download.Fraction * 100) : null,
        };

    /// <summary>The state as people read it, such as <c>loading, 42 %</c>, <c>failed, DeviceMemory</c>.</summary>
    internal string Describe() => State switch
    {
        ModelState.Unloaded => "not loaded",
        ModelState.Queued => "waits to be loaded",
        ModelState.Failed => Code is null ? "failed" : $"failed, {Code}",
        _ when DownloadPercent is not null => $"{Doing}, {DownloadPercent} % downloaded",
        _ => Percent is null ? Doing : $"{Doing}, {Percent} %",
    };

    private string Doing => State.ToString().ToLowerInvariant();

    // Where nothing is read, as of an empty checkpoint, tensors say how far it is.
    private static int? PercentOf(LoadProgress? progress) => progress switch
    {
        null => null,
        { TotalBytes: > 0 } bytes => (int)(Math.Clamp(bytes.BytesRead / (double)bytes.TotalBytes, 0, 1) * 100),
        { TotalTensors: > 0 } tensors => (int)(Math.Clamp(tensors.TensorsLoaded / (double)tensors.TotalTensors, 0, 1) * 100),
        _ => 100,
    };
}
