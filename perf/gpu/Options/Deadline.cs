using System.Diagnostics;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>The time that the whole run may take: nothing new is begun after it.</summary>
internal sealed class Deadline(double minutes)
{
    private readonly long _started = Stopwatch.GetTimestamp();

    public TimeSpan Elapsed => Stopwatch.GetElapsedTime(_started);

    public bool HasPassed => Elapsed.TotalMinutes > minutes;
}
