using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// What a rank has saved of a Llama, page cache warm: its start from that beside the start from the checkpoint; its save beside plain writes; and the reload of the live model beside its first load.
/// </summary>
internal sealed class ShardedScenario : IScenario
{
    // Against reads and hashes alone: SHA-256 on two cores takes as long as reading from the page cache does, so that a verified start can take twice as long as another.
    private const double VerifiedTarget = 0.7;

    // The bytes are hashed twice, and written once.
    private const double SaveTarget = 0.5;

    // A reload reads what a first load reads, and copies each byte once more.
    private const double ReloadTarget = 0.6;

    // A disk that writes 200 MB/s takes five seconds for one pair.
    private const int MaximumSaveRounds = 5;

    private static readonly TensorParallel Rank = new(ShardedFiles.Ranks, 1);

    public string Name => "sharded";

    public string Description => "start a rank of two from what it has saved, save it, and reload a live model: beside the checkpoint, plain writes and a first load";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) => [DataFiles.Llama(options), .. ShardedFiles.FilesOf(options)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = await TensorFiles.LlamaAsync(options, cancellationToken);
        var state = await ShardedFiles.StateAsync(options, cancellationToken);
        return
        [
            .. await StartAsync(options, folder, state, cancellationToken),
            await SaveAsync(options, folder, cancellationToken),
            .. await ReloadAsync(options, folder, cancellationToken),
        ];
    }

    private static async Task<IReadOnlyList<Measurement>> StartAsync(HarnessOptions options, string folder, string state, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("start of a rank");
        var pattern = new ShardedStateLoader().Pattern;
        await using var file = await MeasuredFile.OpenAsync(options, Path.Combine(state, pattern.Format(Rank.Rank, 0)), cancellationToken);
        await using var checkpoint = await Checkpoint.OpenAsync(folder, null, cancellationToken);
        WarmFiles.Read(checkpoint.Files.Select(shard => shard.Path), cancellationToken);
        var (module, share) = await LaidOutModel.LoadAsync(checkpoint, Rank, null, cancellationToken);
        module.Dispose();
        var plain = file.Plan();
        var fromCheckpoint = new Contestant("the same rank from the checkpoint", MeasuredAgainst.Baseline, token => FromCheckpointAsync(folder, token));
        var reads = file.Limits.FirstTouchAndRead(plain);
        var hashed = new Contestant(
            $"{reads.Name} + SHA-256 on {Environment.ProcessorCount} cores",
            MeasuredAgainst.Limit,
            async token => await reads.Measure(token) + HashYardstick.Measure(plain.BytesToRead))
        { Target = VerifiedTarget };
        var rows = new List<Measurement>();
        var verified = await InterleavedRounds.MeasureAsync(
            "start of a rank from what it has saved, verified",
            options.Rounds,
            token => FromStateAsync(state, verify: true, token),
            [
                hashed,
                new Contestant("not verified", MeasuredAgainst.Baseline, token => FromStateAsync(state, verify: false, token)),
                fromCheckpoint,
            ],
            cancellationToken,
            warmUp: true);
        rows.Add(verified with { Bytes = plain.BytesToRead });
        var unverified = await InterleavedRounds.MeasureAsync(
            "start of a rank from what it has saved, not verified",
            options.Rounds,
            token => FromStateAsync(state, verify: false, token),
            [reads, fromCheckpoint],
            cancellationToken,
            warmUp: true);
        rows.Add(unverified with { Bytes = plain.BytesToRead });
        rows.Add(Read("bytes read, a rank from what it has saved", await BytesOfAsync(state, cancellationToken), "its tensors' bytes", plain.DestinationBytes));
        rows.Add(Read("bytes read, the same rank from the checkpoint", share.Reads.BytesToRead, "bytes needed", share.Reads.BytesNeeded));
        return rows;

        static Measurement Read(string name, long bytes, string limit, long least) => Measurement.Of(name, MeasuredQuantity.Bytes, [bytes]) with
        {
            Comparisons = [new MeasuredComparison(limit, MeasuredAgainst.Limit, [new MeasuredPair(bytes, least)])],
        };
    }

    // The rank is saved as one alone: then the folder appears, which is part of a save.
    private static async Task<Measurement> SaveAsync(HarnessOptions options, string folder, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("save of a rank");
        var (saved, written) = (Path.Combine(options.DataFolder, "saved"), Path.Combine(options.DataFolder, "plain"));
        await using var checkpoint = await Checkpoint.OpenAsync(folder, null, cancellationToken);
        using var module = (await LaidOutModel.LoadAsync(checkpoint, Rank, null, cancellationToken)).Module;
        long bytes = module.NamedParameters().DistinctBy(entry => entry.Parameter).Sum(entry => entry.Parameter.Data.ByteLength);
        var row = await InterleavedRounds.MeasureAsync(
            "save what a rank holds, hashed",
            Math.Min(options.Rounds, MaximumSaveRounds),
            async token =>
            {
                WarmPages(token);
                try
                {
                    return (await ShardedFiles.SaveAsync(module, saved, new ShardedStateSaveOptions(), token)).Elapsed.TotalSeconds;
                }
                finally
                {
                    if (Directory.Exists(saved))
                    {
                        Directory.Delete(saved, recursive: true);
                    }
                }
            },
            [
                Contestant.Limit("plain writes of as many bytes, forced to disk", token =>
                {
                    WarmPages(token);
                    return WriteYardstick.Measure(written, [bytes], 1);
                }) with
                { Target = SaveTarget },
            ],
            cancellationToken,
            warmUp: true);
        return row with { Bytes = bytes };

        // See ConvertScenario: whoever writes first would pay for the page cache's pages of both.
        void WarmPages(CancellationToken token) => MemoryYardsticks.FirstTouch(bytes, Environment.ProcessorCount, bytes, token);
    }

    private static async Task<IReadOnlyList<Measurement>> ReloadAsync(HarnessOptions options, string folder, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("reload of a live model");
        await using var file = await MeasuredFile.OpenAsync(options, folder, cancellationToken);
        var checkpoint = file.Checkpoint;
        ModelReloader? reloader = null;
        var (module, plan) = await LaidOutModel.LoadAsync(
            checkpoint, new TensorParallel(1, 0), made => reloader = ModelReloader.Capture(made, DType.BF16), cancellationToken);
        using (module)
        using (reloader)
        {
            reloader!.Attach();
            var row = await InterleavedRounds.MeasureAsync(
                "reload a live model from a checkpoint",
                options.Rounds,
                async token =>
                {
                    var started = Stopwatch.GetTimestamp();
                    var report = await reloader.ReloadAsync(checkpoint, new ReloadOptions { Load = LaidOutModel.Load }, null, token);
                    return report.IsWhole
                        ? Stopwatch.GetElapsedTime(started).TotalSeconds
                        : throw new InvalidOperationException($"{report.Layers.First(layer => layer.Outcome != LayerOutcome.New)} is not new.");
                },
                [
                    file.Limits.Read(plan.Reads),
                    new Contestant("a first load", MeasuredAgainst.Baseline, async token =>
                    {
                        var started = Stopwatch.GetTimestamp();
                        using var loaded = (await LaidOutModel.LoadAsync(checkpoint, new TensorParallel(1, 0), null, token)).Module;
                        return Stopwatch.GetElapsedTime(started).TotalSeconds;
                    })
                    { Target = ReloadTarget },
                ],
                cancellationToken,
                warmUp: true);
            var memory = await ReloadChild.MeasureAsync("peak memory beside the live model, reloaded", folder, cancellationToken);
            return [row with { Bytes = plan.Reads.BytesToRead }, memory];
        }
    }

    private static async Task<double> FromStateAsync(string state, bool verify, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        using var module = await LoadStateAsync();
        return Stopwatch.GetElapsedTime(started).TotalSeconds;

        async Task<Module> LoadStateAsync()
        {
            var made = LaidOutModel.Make(await ModelConfig.OpenAsync(state, null, cancellationToken), Rank);
            try
            {
                await new ShardedStateLoader().LoadAsync(made, state, Rank, new ShardedStateLoadOptions { Load = LaidOutModel.Load, Verify = verify }, null, cancellationToken);
                return made;
            }
            catch
            {
                made.Dispose();
                throw;
            }
        }
    }

    private static async Task<long> BytesOfAsync(string state, CancellationToken cancellationToken)
    {
        using var module = LaidOutModel.Make(await ModelConfig.OpenAsync(state, null, cancellationToken), Rank);
        return (await new ShardedStateLoader().LoadAsync(module, state, Rank, new ShardedStateLoadOptions { Load = LaidOutModel.Load }, null, cancellationToken)).BytesRead;
    }

    private static async Task<double> FromCheckpointAsync(string folder, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await using var checkpoint = await Checkpoint.OpenAsync(folder, null, cancellationToken);
        using var module = (await LaidOutModel.LoadAsync(checkpoint, Rank, null, cancellationToken)).Module;
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }
}
