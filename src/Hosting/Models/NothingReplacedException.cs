using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>A reload came to its end, and every layer has its old weights.</summary>
internal sealed class NothingReplacedException : Exception
{
    /// <summary>Makes one.</summary>
    /// <param name="path">Where the weights are.</param>
    /// <param name="report">What the reload has done.</param>
    public NothingReplacedException(string path, ReloadReport report)
        : base(Describe(path, report)) => IsBusy = report.Layers.All(layer => layer.Outcome == LayerOutcome.Busy);

    /// <summary>Whether the layers were leased for too long; else the weights do not fit.</summary>
    public bool IsBusy { get; }

    private static string Describe(string path, ReloadReport report)
    {
        var busy = report.Layers.Count(layer => layer.Outcome == LayerOutcome.Busy);
        var incomplete = report.Layers.Count(layer => layer.Outcome == LayerOutcome.Incomplete);
        // Enough to see whose weights they are.
        const int shown = 3;
        var unexpected = report.Unexpected.IsEmpty ? ""
            : $" Of the checkpoint {report.Unexpected.Length} tensors go nowhere: {string.Join(", ", report.Unexpected.Take(shown).Select(Quoted.Name))}{(report.Unexpected.Length > shown ? " and others" : "")}.";
        return $"No layer got new weights from {Quoted.Plain(path)}: of {report.Layers.Length} layers {incomplete} lack weights there, and {busy} were leased for too long.{unexpected}";
    }
}
