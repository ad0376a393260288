using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A checkpoint of a terabyte in 200 sparse shards with 50,000 tensors: opening it, and planning a load of all.</summary>
internal sealed class HugeScenario : IScenario
{
    private const double PlanSeconds = 1;

    private const double PlanBytes = 200e6;

    public string Name => "huge";

    public string Description => "open and plan 50,000 tensors, 1 TB, in 200 sparse shards: seconds, and bytes allocated";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) => [SparseShards.File];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var (folder, missing) = await SparseShards.TryMakeAsync(options, cancellationToken);
        if (missing is not null)
        {
            return [Measurement.LeftOut("plan 50,000 tensors in 200 shards", missing)];
        }

        await using var checkpoint = await Checkpoint.OpenAsync(folder, null, cancellationToken);
        var opened = await InterleavedRounds.MeasureAsync(
            "open 50,000 tensors in 200 shards",
            options.Rounds,
            async token =>
            {
                var started = Stopwatch.GetTimestamp();
                await using (await Checkpoint.OpenAsync(folder, null, token))
                {
                    return Stopwatch.GetElapsedTime(started).TotalSeconds;
                }
            },
            [HeaderRead.Limit(checkpoint)],
            cancellationToken,
            warmUp: true);
        var loader = new CheckpointLoader();
        var (seconds, allocated) = (new List<double>(), new List<double>());
        // Planning for the host makes runs and placements of all; that they fit nowhere is seen when they are loaded. The first is not counted.
        for (var round = -1; round < options.Rounds; round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var before = GC.GetTotalAllocatedBytes(precise: true);
            var started = Stopwatch.GetTimestamp();
            var plan = loader.Plan(checkpoint, new LoadOptions { Device = HostDevice.Shared, ReadMode = ReadMode.Buffered });
            if (round >= 0)
            {
                seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
                allocated.Add(GC.GetTotalAllocatedBytes(precise: true) - before);
            }

            PlannedModes.Require(plan, ReadMode.Buffered);
        }

        return
        [
            opened,
            Measurement.Of("plan 50,000 tensors in 200 shards", MeasuredQuantity.Seconds, seconds).Because("nothing is moved") with { Budget = PlanSeconds },
            Measurement.Of("bytes allocated by the plan", MeasuredQuantity.Bytes, allocated) with { Budget = PlanBytes },
        ];
    }
}
