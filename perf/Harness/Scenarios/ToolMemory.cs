using System.Globalization;
using System.Text.Json;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>The peak memory of the tool as a process of its own, held against what a load may take.</summary>
internal static class ToolMemory
{
    // The house's bound: the tensors, the cap on staging, and what the runtime and the headers take.
    public const long Overhead = 150L << 20;

    /// <summary>Loads once with the tool.</summary>
    /// <param name="name">The row's name.</param>
    /// <param name="path">The checkpoint.</param>
    /// <param name="plan">The plan of the same load.</param>
    /// <param name="stagingCap">What <c>--memory</c> says.</param>
    /// <param name="arguments">More arguments of the tool.</param>
    /// <param name="cancellationToken">Ends the process.</param>
    /// <param name="tensorBytes">What the tensors take; null for what the plan says.</param>
    public static async Task<Measurement> MeasureAsync(
        string name, string path, LoadPlan plan, long stagingCap, string[] arguments, CancellationToken cancellationToken, long? tensorBytes = null)
    {
        var output = await ToolProcess.RunAsync(
            ["load", path, "--device", "host", "--json", "--memory", stagingCap.ToString(CultureInfo.InvariantCulture), .. arguments], cancellationToken);
        using var document = JsonDocument.Parse(output);
        return Measurement.Of(name, MeasuredQuantity.Bytes, [document.RootElement.GetProperty("peakMemoryBytes").GetDouble()]) with
        {
            Budget = (tensorBytes ?? plan.DestinationBytes) + stagingCap + Overhead,
        };
    }
}
