namespace IlgpuLoader.Loading;

/// <summary>What a measurement is held against, and how it is measured.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Against">What kind of thing it is.</param>
/// <param name="Measure">Does it once and gives what it took, in the unit of the measurement.</param>
internal sealed record Contestant(string Name, MeasuredAgainst Against, Func<CancellationToken, Task<double>> Measure)
{
    /// <summary>Why it cannot be measured; null where it can.</summary>
    public string? Skipped { get; init; }

    /// <summary>The least ratio that is aimed at; null for none.</summary>
    public double? Target { get; init; }

    /// <summary>A limit, which blocks while it is measured.</summary>
    public static Contestant Limit(string name, Func<CancellationToken, double> measure) =>
        new(name, MeasuredAgainst.Limit, token => Task.FromResult(measure(token)));

    /// <summary>One that cannot be measured.</summary>
    public static Contestant Missing(string name, MeasuredAgainst against, string reason) =>
        new(name, against, static _ => throw new InvalidOperationException("What is missing is not measured.")) { Skipped = reason };
}
