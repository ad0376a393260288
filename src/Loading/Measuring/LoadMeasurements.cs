using System.Diagnostics;

namespace IlgpuLoader.Loading;

/// <summary>Loads as they are measured: the whole call, from the plan to the tensors.</summary>
internal static class LoadMeasurements
{
    private static readonly CheckpointLoader Loader = new();

    /// <summary>Loads again and again into the same memory, by one plan: it is to be made when the files are as they will be found.</summary>
    /// <param name="name">The row's name.</param>
    /// <param name="plan">What is loaded.</param>
    /// <param name="rounds">How often.</param>
    /// <param name="others">What it is held against.</param>
    /// <param name="cancellationToken">Ends the work within the time of one slot.</param>
    /// <param name="before">Called before each load and not counted; it may not change what <see cref="ReadMode.Auto"/> would choose.</param>
    /// <returns>The row; left out where tensors are views of mapped files, into which nothing is loaded.</returns>
    public static Task<Measurement> AgainAsync(
        string name,
        LoadPlan plan,
        int rounds,
        IReadOnlyList<Contestant> others,
        CancellationToken cancellationToken,
        Action? before = null)
    {
        return AgainAsync(name, PlanAfter, rounds, others, cancellationToken);

        LoadPlan PlanAfter()
        {
            before?.Invoke();
            return plan;
        }
    }

    /// <summary>
    /// Loads again and again into the same memory, each time by a plan of its own: a plan keeps the read mode that was chosen for the files
    /// as they were when it was made.
    /// </summary>
    /// <param name="name">The row's name.</param>
    /// <param name="prepare">
    /// Makes the plan of the next load, equal to those before it; it may drop the files from the page cache first. Not counted: planning is
    /// measured by itself, and plain reads, which loads are held against, have nothing like it.
    /// </param>
    /// <param name="rounds">How often.</param>
    /// <param name="others">What it is held against.</param>
    /// <param name="cancellationToken">Ends the work within the time of one slot.</param>
    /// <returns>The row; left out where tensors are views of mapped files, into which nothing is loaded.</returns>
    public static async Task<Measurement> AgainAsync(
        string name, Func<LoadPlan> prepare, int rounds, IReadOnlyList<Contestant> others, CancellationToken cancellationToken)
    {
        var plan = prepare();
        if (plan.MappedCount > 0)
        {
            return Measurement.LeftOut(name, $"{plan.MappedCount} of {plan.Tensors.Length} tensors are views of mapped files, into which nothing is loaded");
        }

        var modes = new SortedSet<string>(StringComparer.Ordinal);
        var model = await Loader.LoadAsync(plan, null, cancellationToken).ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            // The first load into memory that is there may still find code to be compiled.
            await Loader.LoadIntoAsync(prepare(), model, null, cancellationToken).ConfigureAwait(false);
            var row = await InterleavedRounds.MeasureAsync(name, rounds, AgainAsync, others, cancellationToken).ConfigureAwait(false);
            return row with { Bytes = plan.BytesToRead, ReadMode = string.Join(", ", modes) };
        }

        async Task<double> AgainAsync(CancellationToken token)
        {
            var next = prepare();
            var started = Stopwatch.GetTimestamp();
            var statistics = await Loader.LoadIntoAsync(next, model, null, token).ConfigureAwait(false);
            var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
            modes.Add(statistics.ReadMode);
            return seconds;
        }
    }

    /// <summary>Loads into fresh memory each time.</summary>
    /// <inheritdoc cref="AgainAsync(string, LoadPlan, int, IReadOnlyList{Contestant}, CancellationToken, Action?)"/>
    public static async Task<Measurement> FirstAsync(
        string name, LoadPlan plan, int rounds, IReadOnlyList<Contestant> others, CancellationToken cancellationToken)
    {
        var modes = new SortedSet<string>(StringComparer.Ordinal);
        var row = await InterleavedRounds.MeasureAsync(name, rounds, FirstAsync, others, cancellationToken, warmUp: true).ConfigureAwait(false);
        return row with { Bytes = plan.BytesToRead, ReadMode = string.Join(", ", modes) };

        async Task<double> FirstAsync(CancellationToken token)
        {
            var (seconds, readMode) = await LoadMeasurements.FirstAsync(plan, token).ConfigureAwait(false);
            modes.Add(readMode);
            return seconds;
        }
    }

    /// <summary>Loads once into fresh memory and frees it again, which is not counted.</summary>
    /// <returns>The seconds, and how the bytes were read.</returns>
    public static async Task<(double Seconds, string ReadMode)> FirstAsync(LoadPlan plan, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var model = await Loader.LoadAsync(plan, null, cancellationToken).ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            return (Stopwatch.GetElapsedTime(started).TotalSeconds, model.Statistics.ReadMode);
        }
    }
}
