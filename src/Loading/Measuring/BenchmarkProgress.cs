namespace IlgpuLoader.Loading;

/// <summary>How far a benchmark is.</summary>
/// <param name="Step">What is being measured.</param>
/// <param name="Done">Steps that are done.</param>
/// <param name="Total">All steps.</param>
public readonly record struct BenchmarkProgress(string Step, int Done, int Total);
