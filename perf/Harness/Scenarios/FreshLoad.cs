using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Opening, planning and loading into fresh memory, as other programs' load functions do it: what peers are compared with.</summary>
internal static class FreshLoad
{
    /// <summary>Loads a checkpoint from its path, and frees it again, which is not counted.</summary>
    /// <returns>The seconds.</returns>
    public static async Task<double> MeasureAsync(string path, LoadOptions options, CancellationToken cancellationToken)
    {
        var loader = new CheckpointLoader();
        var started = Stopwatch.GetTimestamp();
        await using var checkpoint = await Checkpoint.OpenAsync(path, null, cancellationToken);
        var plan = PlannedModes.Require(loader.Plan(checkpoint, options), options.ReadMode);
        await using var model = await loader.LoadAsync(plan, null, cancellationToken);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>A row of it, page cache warm, in interleaved rounds with peers.</summary>
    public static async Task<Measurement> RowAsync(
        string name,
        int rounds,
        string path,
        long? bytes,
        IReadOnlyList<Contestant> others,
        CancellationToken cancellationToken,
        LoadOptions? options = null)
    {
        await using (var checkpoint = await Checkpoint.OpenAsync(path, null, cancellationToken))
        {
            WarmFiles.Read(checkpoint.Files.Select(file => file.Path), cancellationToken);
        }

        options ??= LoadOptions.Default;
        // What is warm is read through the cache; a mapped load stays one.
        options = options.ReadMode == ReadMode.Auto ? options with { ReadMode = ReadMode.Buffered } : options;
        var row = await InterleavedRounds.MeasureAsync(
            name, rounds, token => MeasureAsync(path, options, token), others, cancellationToken, warmUp: true);
        return row with { Bytes = bytes };
    }
}
