namespace IlgpuLoader.Harness;

/// <summary>What is measured, and on which data.</summary>
internal sealed record HarnessOptions
{
    /// <summary>Where made-up checkpoints are kept between runs.</summary>
    public string DataFolder { get; init; } = Path.Combine(Path.GetTempPath(), "ilgpu-loader-perf");

    /// <summary>Where reports go; null for perf/results of the repository.</summary>
    public string? OutputFolder { get; init; }

    /// <summary>Interleaved rounds: the median of 11 moves little from run to run.</summary>
    public int Rounds { get; init; } = 11;

    /// <summary>The size of the checkpoints that loads are measured with.</summary>
    public int Mebibytes { get; init; } = 1024;

    /// <summary>A report of before, that this one is compared with; null for none.</summary>
    public string? Compare { get; init; }

    /// <summary>A Markdown file whose marked part becomes this report's table; null for none.</summary>
    public string? Readme { get; init; }

    /// <summary>Progress.</summary>
    public TextWriter Log { get; init; } = TextWriter.Null;
}
