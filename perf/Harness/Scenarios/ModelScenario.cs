using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// A Llama in its architecture's layout, page cache warm: opened, laid out, recorded and loaded, beside its tensors as they are; planning by itself; and what a rank of four reads, beside the tensors that
/// such a rank has by their names.
/// </summary>
internal sealed class ModelScenario : IScenario
{
    private const int Ranks = 4;

    // What a plan of 50,000 tensors may take; models have hundreds, and loaders that run.
    private const double PlanSeconds = 1;

    public string Name => "models";

    public string Description => "a Llama's parameters in the packed layout, whole and one rank of four, beside its tensors as they are";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) => [DataFiles.Llama(options)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var folder = await TensorFiles.LlamaAsync(options, cancellationToken);
        var rows = new List<Measurement>();
        foreach (var parallel in (TensorParallel[])[new(1, 0), new(Ranks, 1)])
        {
            var what = parallel.WorldSize == 1 ? "a model" : $"one rank of {parallel.WorldSize} of a model";
            options.Log.WriteLine(what);
            await using var file = await MeasuredFile.OpenAsync(options, folder, cancellationToken);
            var checkpoint = file.Checkpoint;
            WarmFiles.Read(file.Paths, cancellationToken);
            var plan = Plan(checkpoint, parallel, cancellationToken, out var module);
            using (module)
            {
                var plain = new LoadOptions { ReadMode = ReadMode.Buffered, TensorParallel = parallel.WorldSize == 1 ? null : parallel };
                var asTheyAre = new Contestant("the tensors as they are", MeasuredAgainst.Baseline, token => FreshLoad.MeasureAsync(folder, plain, token)) { Target = 0.9 };
                var row = await InterleavedRounds.MeasureAsync(
                    $"open, lay out and load {what}, bf16 keep", options.Rounds, token => LoadAsync(folder, parallel, token), [file.Limits.FirstTouchAndRead(plan.Reads), asTheyAre], cancellationToken, warmUp: true);
                rows.Add(row with { Bytes = plan.Reads.BytesToRead });
                rows.Add(Measurement.Of($"bytes read, {what}", MeasuredQuantity.Bytes, [plan.Reads.BytesToRead]) with
                {
                    Comparisons = [new MeasuredComparison("bytes needed", MeasuredAgainst.Limit, [new MeasuredPair(plan.Reads.BytesToRead, plan.Reads.BytesNeeded)])],
                });
            }

            var planning = await InterleavedRounds.MeasureAsync(
                $"lay out and record {what}",
                options.Rounds,
                token =>
                {
                    var started = Stopwatch.GetTimestamp();
                    _ = Plan(checkpoint, parallel, token, out var laidOut);
                    laidOut.Dispose();
                    return Task.FromResult(Stopwatch.GetElapsedTime(started).TotalSeconds);
                },
                [],
                cancellationToken,
                warmUp: true);
            rows.Add(planning with { Budget = PlanSeconds });
        }

        return rows;
    }

    private static ModulePlan Plan(Checkpoint checkpoint, TensorParallel parallel, CancellationToken cancellationToken, out Module module)
    {
        module = ModelInitializer.Initialize(new ModelContext { Config = checkpoint.Config!, Parallel = parallel });
        try
        {
            var load = new LoadOptions { Device = HostDevice.Shared, ReadMode = ReadMode.Buffered };
            return new ModuleLoader().Plan(module, checkpoint, new ModuleLoadOptions { Load = load }, cancellationToken);
        }
        catch
        {
            module.Dispose();
            throw;
        }
    }

    private static async Task<double> LoadAsync(string folder, TensorParallel parallel, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await using var checkpoint = await Checkpoint.OpenAsync(folder, null, cancellationToken);
        var plan = Plan(checkpoint, parallel, cancellationToken, out var module);
        using (module)
        {
            await new ModuleLoader().LoadAsync(plan, null, cancellationToken);
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        }
    }
}
