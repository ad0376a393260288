namespace IlgpuLoader.Perf.Gpu;

/// <summary>What one check found.</summary>
/// <param name="Name">What was held against what.</param>
/// <param name="Cases">How many comparisons were made; a check without any has failed.</param>
/// <param name="Failures">What differed, or why nothing was compared.</param>
/// <param name="Seconds">How long it took, kernels compiled included.</param>
internal sealed record CheckRow(string Name, long Cases, IReadOnlyList<string> Failures, double Seconds)
{
    public bool Passed => Cases > 0 && Failures.Count == 0;
}
