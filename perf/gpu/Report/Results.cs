using System.Text.Json.Serialization;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>All that a run found, in the order it was found.</summary>
internal sealed class Results
{
    [JsonPropertyOrder(-1)]
    public string Schema => "ilgpu-loader/gpu-bench/1";

    /// <summary>Machine, driver, versions, options, sizes.</summary>
    public List<KeyValuePair<string, string>> Facts { get; } = [];

    public List<CheckRow> Checks { get; } = [];

    public List<StartUpTime> StartUp { get; } = [];

    public List<FigureRow> Figures { get; } = [];

    /// <summary>Why the run ended early; null where it did not.</summary>
    public string? Failure { get; set; }

    /// <summary>Whether everything that was checked is right.</summary>
    public bool Passed => Failure is null && Checks.TrueForAll(check => check.Passed);
}
