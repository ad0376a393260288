using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Opening, planning and loading into fresh memory, as other programs' load functions do it: what peers are compared with.</summary>
internal static class FreshLoad
{
    /// <summary>Loads a checkpoint from its path, and frees it again, which is not counted.</summary>
    /// <returns>The seconds.</returns>
    public static async Task<double> MeasureAsync(string path, LoadOptions? options, CancellationToken cancellationToken)
    {
        var loader = new CheckpointLoader();
        var started = Stopwatch.GetTimestamp();
        await using var checkpoint = await Checkpoint.OpenAsync(path, null, cancellationToken);
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, options), null, cancellationToken);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>A row of it, in interleaved rounds with peers.</summary>
    public static async Task<Measurement> RowAsync(
        string name,
        int rounds,
        string path,
        long? bytes,
        IReadOnlyList<Contestant> others,
        CancellationToken cancellationToken,
        LoadOptions? options = null)
    {
        var row = await InterleavedRounds.MeasureAsync(
            name, rounds, token => MeasureAsync(path, options, token), others, cancellationToken, warmUp: true);
        return row with { Bytes = bytes };
    }
}
