using System.Diagnostics;

namespace IlgpuLoader.Loading;

/// <summary>Loads as they are measured: the whole call, from the plan to the tensors.</summary>
internal static class LoadMeasurements
{
    private static readonly CheckpointLoader Loader = new();

    /// <summary>Loads again and again into the same memory; left out where tensors are views of mapped files.</summary>
    /// <param name="name">The row's name.</param>
    /// <param name="plan">What is loaded.</param>
    /// <param name="rounds">How often.</param>
    /// <param name="others">What it is held against.</param>
    /// <param name="cancellationToken">Ends the work within the time of one slot.</param>
    /// <param name="before">Called before each load and not counted.</param>
    public static async Task<Measurement> AgainAsync(
        string name,
        LoadPlan plan,
        int rounds,
        IReadOnlyList<Contestant> others,
        CancellationToken cancellationToken,
        Action? before = null)
    {
        if (plan.MappedCount > 0)
        {
            return Measurement.LeftOut(name, $"{plan.MappedCount} of {plan.Tensors.Length} tensors are views of mapped files, into which nothing is loaded");
        }

        var model = await Loader.LoadAsync(plan, null, cancellationToken).ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            // The first load into memory that is there may still find code to be compiled.
            await Loader.LoadIntoAsync(plan, model, null, cancellationToken).ConfigureAwait(false);
            var row = await InterleavedRounds.MeasureAsync(name, rounds, AgainAsync, others, cancellationToken).ConfigureAwait(false);
            return row with { Bytes = plan.BytesToRead };
        }

        async Task<double> AgainAsync(CancellationToken token)
        {
            before?.Invoke();
            var started = Stopwatch.GetTimestamp();
            await Loader.LoadIntoAsync(plan, model, null, token).ConfigureAwait(false);
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }

    /// <summary>Loads into fresh memory each time.</summary>
    /// <inheritdoc cref="AgainAsync"/>
    public static async Task<Measurement> FirstAsync(
        string name, LoadPlan plan, int rounds, IReadOnlyList<Contestant> others, CancellationToken cancellationToken)
    {
        var row = await InterleavedRounds
            .MeasureAsync(name, rounds, token => FirstAsync(plan, token), others, cancellationToken, warmUp: true).ConfigureAwait(false);
        return row with { Bytes = plan.BytesToRead };
    }

    /// <summary>Loads once into fresh memory and frees it again, which is not counted.</summary>
    /// <returns>The seconds.</returns>
    public static async Task<double> FirstAsync(LoadPlan plan, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        var model = await Loader.LoadAsync(plan, null, cancellationToken).ConfigureAwait(false);
        await using (model.ConfigureAwait(false))
        {
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }
}
