using System.Diagnostics;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Runs scenarios one after the other.</summary>
internal static class HarnessRun
{
    /// <summary>Measures.</summary>
    /// <param name="options">On what data, and how often.</param>
    /// <param name="command">The command line, for the report.</param>
    /// <param name="scenarios">What is measured.</param>
    /// <param name="cancellationToken">Ends the run within the time of one slot, or of one load of a peer.</param>
    public static async Task<HarnessReport> MeasureAsync(
        HarnessOptions options, string command, IReadOnlyList<IScenario> scenarios, CancellationToken cancellationToken)
    {
        var date = DateTimeOffset.UtcNow;
        var rows = new List<HarnessRow>();
        for (var i = 0; i < scenarios.Count; i++)
        {
            var scenario = scenarios[i];
            options.Log.WriteLine($"[{i + 1}/{scenarios.Count}] {scenario.Name}: {scenario.Description}");
            var started = Stopwatch.GetTimestamp();
            rows.AddRange((await scenario.RunAsync(options, cancellationToken)).Select(row => new HarnessRow(scenario.Name, row)));
            options.Log.WriteLine(FormattableString.Invariant($"{scenario.Name} took {Stopwatch.GetElapsedTime(started).TotalSeconds:0} s"));
        }

        return new HarnessReport(
            MachineDescription.Current.ToString(),
            date,
            command,
            FormattableString.Invariant($"checkpoints of {options.Mebibytes} MiB, GGUF files of {options.Mebibytes / 4} MiB, {options.Rounds} rounds"),
            [.. rows]);
    }
}
