namespace IlgpuLoader.Harness;

/// <summary>What became of the requests of a while.</summary>
/// <param name="Seconds">What each took, by what was asked; one that failed counts as <see cref="FailedSeconds"/>.</param>
/// <param name="Failures">How many failed.</param>
/// <param name="Examples">Why, of the first.</param>
/// <param name="Undisturbed">What those took during which no processor of the machine was stopped by its host (<see cref="Standstills"/>); none where that cannot be told.</param>
internal sealed record TrafficResult(IReadOnlyDictionary<string, double[]> Seconds, int Failures, IReadOnlyList<string> Examples, IReadOnlyList<double> Undisturbed)
{
    /// <summary>How long an answer may take at most, and what a request without one counts as: more than any budget.</summary>
    public const double FailedSeconds = 10;

    /// <summary>All requests together.</summary>
    public Latencies All => Latencies.Of(Seconds.Values.SelectMany(seconds => seconds));

    /// <summary>Several whiles together.</summary>
    public static TrafficResult Of(IReadOnlyCollection<TrafficResult> parts) => new(
        parts.SelectMany(part => part.Seconds).GroupBy(pair => pair.Key, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => group.SelectMany(pair => pair.Value).ToArray(), StringComparer.Ordinal),
        parts.Sum(part => part.Failures),
        [.. parts.SelectMany(part => part.Examples).Take(Traffic.MaximumExamples)],
        [.. parts.SelectMany(part => part.Undisturbed)]);

    /// <summary>The number of requests, and what failed.</summary>
    public string Describe()
    {
        var count = Seconds.Values.Sum(seconds => seconds.Length);
        var failed = Failures == 0 ? "no error" : $"{Failures} {(Failures == 1 ? "error" : "errors")}: {string.Join("; ", Examples)}";
        return FormattableString.Invariant($"{count} requests, {failed}");
    }
}
