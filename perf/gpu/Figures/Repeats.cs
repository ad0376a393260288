using System.Diagnostics;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>Work on a stream, repeated until the clock can tell.</summary>
internal static class Repeats
{
    // Long against a launch and a synchronisation, some tens of microseconds; short enough for every kernel to have its turn.
    private const double LeastSeconds = 0.05;

    private const int MostLaunches = 2000;

    /// <summary>The seconds of one launch: the median, least and greatest of several series.</summary>
    public static MeasuredStatistic Measure(int rounds, Action launch, Action synchronise)
    {
        // The first one compiles, and brings memory and clocks up.
        _ = Series(1, launch, synchronise);
        var once = Series(1, launch, synchronise);
        var launches = (int)Math.Clamp(Math.Ceiling(LeastSeconds / Math.Max(once, 1e-7)), 1, MostLaunches);
        return MeasuredStatistic.Of(Enumerable.Range(0, rounds).Select(_ => Series(launches, launch, synchronise)).ToArray());
    }

    private static double Series(int launches, Action launch, Action synchronise)
    {
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < launches; i++)
        {
            launch();
        }

        synchronise();
        return Stopwatch.GetElapsedTime(started).TotalSeconds / launches;
    }
}
