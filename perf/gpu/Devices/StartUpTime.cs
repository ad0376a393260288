namespace IlgpuLoader.Perf.Gpu;

/// <summary>Something that is done once in a process, before what is measured.</summary>
/// <param name="Name">What was done.</param>
/// <param name="Seconds">How long it took.</param>
internal sealed record StartUpTime(string Name, double Seconds);
