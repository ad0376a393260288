using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>Measures ours and what it is held against in turn, so that a machine that is slow for a while is slow for all.</summary>
internal static class InterleavedRounds
{
    // A machine that never settles is measured as it is, and its rounds say so; large loads take minutes.
    private const int MostWarmUps = 4;
    private const double Agreement = 0.3;

    /// <summary>Measures round by round.</summary>
    /// <param name="name">What is measured.</param>
    /// <param name="rounds">How often, at least once.</param>
    /// <param name="ours">Does ours once and gives what it took.</param>
    /// <param name="others">What it is held against.</param>
    /// <param name="cancellationToken">Ends the work as soon as what is being measured ends.</param>
    /// <param name="quantity">What is measured.</param>
    /// <param name="warmUp">
    /// Whether each is done before anything counts until it takes as long as the time before, to within 30 %, but at most four times: a
    /// virtual machine gets memory that it has not used for a while page by page from its host, and whoever comes first would pay for that.
    /// </param>
    public static async Task<Measurement> MeasureAsync(
        string name,
        int rounds,
        Func<CancellationToken, Task<double>> ours,
        IReadOnlyList<Contestant> others,
        CancellationToken cancellationToken,
        MeasuredQuantity quantity = MeasuredQuantity.Seconds,
        bool warmUp = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(rounds, 1);
        // The first is ours.
        Func<CancellationToken, Task<double>>[] all = [ours, .. others.Where(other => other.Skipped is null).Select(other => other.Measure)];
        foreach (var one in warmUp ? all : [])
        {
            await WarmUpAsync(one, cancellationToken).ConfigureAwait(false);
        }

        var values = all.Select(_ => new double[rounds]).ToArray();
        for (var round = 0; round < rounds; round++)
        {
            for (var i = 0; i < all.Length; i++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                // The order turns with every round: who comes later finds the caches as the one before left them.
                var turn = round % 2 == 0 ? all.Length - 1 - i : i;
                values[turn][round] = await all[turn](cancellationToken).ConfigureAwait(false);
            }
        }

        var comparisons = ImmutableArray.CreateBuilder<MeasuredComparison>(others.Count);
        var measured = 0;
        foreach (var other in others)
        {
            comparisons.Add(other.Skipped is { } reason
                ? MeasuredComparison.LeftOut(other.Name, other.Against, reason)
                : new MeasuredComparison(other.Name, other.Against, PairsOf(values[0], values[++measured])) { Target = other.Target });
        }

        return new Measurement(name, quantity, [.. values[0]], comparisons.DrainToImmutable());
    }

    private static async Task WarmUpAsync(Func<CancellationToken, Task<double>> measure, CancellationToken cancellationToken)
    {
        var before = double.NaN;
        for (var i = 0; i < MostWarmUps; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var now = await measure(cancellationToken).ConfigureAwait(false);
            if (Math.Abs(now - before) <= Agreement * Math.Min(now, before))
            {
                return;
            }

            before = now;
        }
    }

    private static ImmutableArray<MeasuredPair> PairsOf(double[] ours, double[] others) =>
        [.. ours.Zip(others, (mine, other) => new MeasuredPair(mine, other))];
}
