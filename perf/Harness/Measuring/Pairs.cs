namespace IlgpuLoader.Harness;

/// <summary>Ours and the limit, measured in turn.</summary>
internal static class Pairs
{
    /// <summary>Alternates, so that a machine that is slow for a while is slow for both.</summary>
    /// <returns>The seconds of each.</returns>
    public static async Task<List<(double Ours, double Limit)>> MeasureAsync(int rounds, Func<Task<double>> ours, Func<double> limit)
    {
        var pairs = new List<(double, double)>();
        for (var i = 0; i < rounds; i++)
        {
            // The order alternates too: who comes second finds the caches as the first left them.
            if (i % 2 == 0)
            {
                var bound = limit();
                pairs.Add((await ours(), bound));
            }
            else
            {
                var time = await ours();
                pairs.Add((time, limit()));
            }
        }

        return pairs;
    }

    /// <summary>The row of a report: speeds over the same bytes, and the ratio of each pair.</summary>
    public static Row RowOf(string name, long bytes, List<(double Ours, double Limit)> pairs, string against, string target) =>
        new(
            name,
            Statistic.Of(pairs.Select(pair => bytes / pair.Ours / 1e9)).ToString("0.00") + " GB/s",
            $"{against}: {Statistic.Of(pairs.Select(pair => bytes / pair.Limit / 1e9)).ToString("0.00")} GB/s",
            Statistic.Of(pairs.Select(pair => pair.Limit / pair.Ours)).ToString("0.00"),
            target);
}
