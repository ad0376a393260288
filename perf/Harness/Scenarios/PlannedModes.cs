using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Holds plans against what a row's name says: a row of warm files that are read past the page cache would measure the disk.</summary>
internal static class PlannedModes
{
    /// <summary>Gives a plan back whose files are all read as asked for.</summary>
    /// <param name="plan">The plan; files of which nothing is read are let pass.</param>
    /// <param name="mode">How they are to be read; <see cref="ReadMode.Auto"/> for buffered or direct, as the planner finds best.</param>
    /// <exception cref="InvalidOperationException">A file is read in another way; the message says which, how, and why.</exception>
    public static LoadPlan Require(LoadPlan plan, ReadMode mode)
    {
        foreach (var file in plan.Runs.Select(run => run.File).Distinct())
        {
            var planned = plan.FileModes[file];
            if (mode == ReadMode.Auto ? planned.Mode == ReadMode.Mapped : planned.Mode != mode)
            {
                throw new InvalidOperationException(
                    $"What is measured claims {NameOf(mode)} reads, but {plan.Checkpoint.Files[file].Path} is planned as {planned}.");
            }
        }

        return plan;
    }

    /// <summary>How a plan reads most of its bytes, and why, in words.</summary>
    public static string Describe(LoadPlan plan) =>
        plan.Runs.GroupBy(run => run.File).OrderByDescending(file => file.Sum(run => (long)run.ByteLength)).Select(file => plan.FileModes[file.Key].ToString())
            .FirstOrDefault("nothing is read");

    private static string NameOf(ReadMode mode) => mode == ReadMode.Auto ? "buffered or direct" : mode.ToString().ToLowerInvariant();
}
