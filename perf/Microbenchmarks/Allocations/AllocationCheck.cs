using System.Text.Json;

namespace IlgpuLoader.Microbenchmarks;

/// <summary>
/// Measures what operations allocate and holds it against the budgets in allocations.json. Bytes are counted, not times: the same
/// code allocates the same on every machine.
/// </summary>
internal static class AllocationCheck
{
    private const int Runs = 5;
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

    /// <summary>Measures, and checks or writes the budgets.</summary>
    /// <returns>The process's exit code.</returns>
    public static async Task<int> RunAsync(TextWriter output, bool update)
    {
        var budgetsPath = FindBudgets();
        var measured = new SortedDictionary<string, long>(StringComparer.Ordinal);
        using (var folder = new CheckpointFolder())
        {
            await using var cases = await CheckpointCases.CreateAsync(folder);
            foreach (var (name, operation) in cases.Operations)
            {
                measured[name] = await MeasureAsync(operation);
            }
        }

        if (update)
        {
            await File.WriteAllTextAsync(budgetsPath, JsonSerializer.Serialize(measured, Json) + "\n");
            output.WriteLine($"{measured.Count} budgets written to {budgetsPath}");
            return 0;
        }

        var budgets = JsonSerializer.Deserialize<Dictionary<string, long>>(await File.ReadAllTextAsync(budgetsPath))
            ?? throw new InvalidDataException($"{budgetsPath} holds no budgets.");
        var results = AllocationBudget.Compare(budgets, measured);
        foreach (var result in results)
        {
            output.WriteLine(result);
        }

        return results.All(result => result.Passes) ? 0 : 1;
    }

    // Beside the sources, so that an update is a change to be reviewed. The build's output lies somewhere in the repository.
    private static string FindBudgets()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            var path = Path.Combine(folder, "perf", "Microbenchmarks", "allocations.json");
            if (File.Exists(path))
            {
                return path;
            }
        }

        throw new FileNotFoundException($"There is no perf/Microbenchmarks/allocations.json above {AppContext.BaseDirectory}.");
    }

    // The least of several: what the runtime allocates for itself in between comes on top, and not each time.
    private static async Task<long> MeasureAsync(Func<Task> operation)
    {
        // Twice: what is made once in a process, and what pools keep, is there before it is counted.
        await operation();
        await operation();
        var least = long.MaxValue;
        for (var i = 0; i < Runs; i++)
        {
            var before = GC.GetTotalAllocatedBytes(precise: true);
            await operation();
            least = Math.Min(least, GC.GetTotalAllocatedBytes(precise: true) - before);
        }

        return least;
    }
}
