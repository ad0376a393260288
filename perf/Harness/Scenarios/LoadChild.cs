using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>The peak memory of loads that the tool has no option for, each in this program started anew: one rank, slabs.</summary>
internal static class LoadChild
{
    /// <summary>What its command line begins with.</summary>
    public const string Argument = "--child-load";

    /// <summary>Loads once in a process of its own.</summary>
    /// <param name="name">The row's name.</param>
    /// <param name="path">The checkpoint.</param>
    /// <param name="plan">The plan of the same load, of which ranks, slabs and names are taken.</param>
    /// <param name="cancellationToken">Ends the process.</param>
    public static async Task<Measurement> MeasureAsync(string name, string path, LoadPlan plan, CancellationToken cancellationToken)
    {
        var load = plan.Options;
        var output = await ToolProcess.RunSelfAsync(
            [
                Argument,
                path,
                (load.TensorParallel?.WorldSize ?? 0).ToString(CultureInfo.InvariantCulture),
                load.SlabBytes.ToString(CultureInfo.InvariantCulture),
                .. load.Include,
            ],
            cancellationToken);
        return Measurement.Of(name, MeasuredQuantity.Bytes, [double.Parse(output, CultureInfo.InvariantCulture)]) with
        {
            Budget = plan.DestinationBytes + LoadOptions.DefaultStagingBytes + ToolMemory.Overhead,
        };
    }

    /// <summary>The measuring process.</summary>
    public static async Task RunAsync(string[] arguments)
    {
        var ranks = int.Parse(arguments[1], CultureInfo.InvariantCulture);
        var options = new LoadOptions
        {
            TensorParallel = ranks == 0 ? null : new TensorParallel(ranks, 1),
            SlabBytes = long.Parse(arguments[2], CultureInfo.InvariantCulture),
            Include = [.. arguments.Skip(3)],
        };
        await using var checkpoint = await Checkpoint.OpenAsync(arguments[0]);
        await using (await new CheckpointLoader().LoadAsync(MeasuredFile.PlanBuffered(checkpoint, options)))
        {
            Console.WriteLine(PeakMemory.Read().ToString(CultureInfo.InvariantCulture));
        }
    }
}
