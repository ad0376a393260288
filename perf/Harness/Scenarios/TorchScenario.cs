using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// One GiB of float32 in 256 tensors, as a PyTorch file and as safetensors: opening, loading in interleaved pairs with plain
/// reads of the same bytes, and against <c>torch.load</c> where Python has it.
/// </summary>
internal sealed class TorchScenario : IScenario
{
    public string Name => "torch";

    public string Description => "open and load 1 GiB of float32 in 256 tensors from a PyTorch file: beside safetensors, plain reads and torch.load";

    public async Task<IReadOnlyList<Row>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var torch = await Data.FloatsAsync(options, ".pt", cancellationToken);
        var safetensors = await Data.FloatsAsync(options, ".safetensors", cancellationToken);
        var many = await Data.ManyTensorsAsync(options, ".pt", cancellationToken);
        options.Log.WriteLine("opening in new processes");
        var (first, later) = await OpenScenario.OpenAsync(options, torch, cancellationToken);
        var (_, laterMany) = await OpenScenario.OpenAsync(options, many, cancellationToken);
        var rows = new List<Row>
        {
            new("open a .pt of 1 GiB, 256 tensors, first in a process", $"{first.ToString("0.0")} ms", "", "", ""),
            new("open a .pt of 1 GiB, 256 tensors, 2nd to 20th", $"{later.ToString("0.0")} ms", "", "", "≤ 20 ms"),
            new("open a .pt of 10,000 tensors, 2nd to 20th", $"{laterMany.ToString("0.0")} ms", "", "", ""),
        };
        rows.AddRange(await LoadAsync(options, "safetensors", safetensors, cancellationToken));
        rows.AddRange(await LoadAsync(options, ".pt", torch, cancellationToken));
        rows.Add(await AgainstSafetensorsAsync(options, torch, safetensors, cancellationToken));
        using var python = PythonTorch.Start();
        if (python is null)
        {
            options.Log.WriteLine("no Python with torch here: not compared with torch.load");
            return rows;
        }

        rows.Add(await AgainstPythonAsync(options, ".pt of 1 GiB", torch, python, cancellationToken));
        rows.Add(await AgainstPythonAsync(options, ".pt of 10,000 tensors", many, python, cancellationToken));
        return rows;
    }

    private static async Task<IEnumerable<Row>> LoadAsync(HarnessOptions options, string format, string path, CancellationToken cancellationToken)
    {
        options.Log.WriteLine($"loading {format}");
        await using var checkpoint = await Checkpoint.OpenAsync(path, null, cancellationToken);
        using var read = new ReadYardstick([path]);
        var best = read.FindBest();
        var yardstick = $"plain reads, {best.Lanes} lanes x {best.BlockBytes >> 20} MiB";
        double Read() => read.Measure(best.Lanes, best.BlockBytes);

        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint);
        await using var model = await loader.LoadAsync(plan, null, cancellationToken);
        await loader.LoadIntoAsync(plan, model, null, cancellationToken);
        var again = await Pairs.MeasureAsync(
            options.Rounds, async () => (await loader.LoadIntoAsync(plan, model, null, cancellationToken)).Elapsed.TotalSeconds, Read);
        model.Dispose();
        var first = await Pairs.MeasureAsync(
            options.Rounds,
            async () =>
            {
                await using var fresh = await loader.LoadAsync(plan, null, cancellationToken);
                return fresh.Statistics.Elapsed.TotalSeconds;
            },
            () => MemoryYardsticks.FirstTouch(plan.DestinationBytes, plan.Staging.Lanes) + Read());
        return
        [
            Pairs.RowOf($"load 1 GiB {format}, reused memory", read.TotalBytes, again, yardstick, "≥ 0.85"),
            Pairs.RowOf($"load 1 GiB {format}, first load", read.TotalBytes, first, "first touch + " + yardstick, "≥ 0.8"),
        ];
    }

    // The two formats in turn, each into memory of its own that it has filled before.
    private static async Task<Row> AgainstSafetensorsAsync(
        HarnessOptions options, string torch, string safetensors, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("one format against the other");
        var loader = new CheckpointLoader();
        await using var first = await Checkpoint.OpenAsync(torch, null, cancellationToken);
        await using var second = await Checkpoint.OpenAsync(safetensors, null, cancellationToken);
        var (plan, other) = (loader.Plan(first), loader.Plan(second));
        await using var model = await loader.LoadAsync(plan, null, cancellationToken);
        await using var otherModel = await loader.LoadAsync(other, null, cancellationToken);
        var pairs = await Pairs.MeasureAsync(
            options.Rounds,
            async () => (await loader.LoadIntoAsync(plan, model, null, cancellationToken)).Elapsed.TotalSeconds,
            () => loader.LoadIntoAsync(other, otherModel, null, cancellationToken).GetAwaiter().GetResult().Elapsed.TotalSeconds);
        return Pairs.RowOf("load 1 GiB .pt beside safetensors", plan.DestinationBytes, pairs, "the same as safetensors", "1");
    }

    // Each opens and loads in turn.
    private static async Task<Row> AgainstPythonAsync(
        HarnessOptions options, string what, string path, PythonTorch python, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("against torch.load");
        var loader = new CheckpointLoader();
        var pairs = await Pairs.MeasureAsync(
            options.Rounds,
            async () =>
            {
                var started = Stopwatch.GetTimestamp();
                await using var checkpoint = await Checkpoint.OpenAsync(path, null, cancellationToken);
                await using var model = await loader.LoadAsync(loader.Plan(checkpoint), null, cancellationToken);
                return Stopwatch.GetElapsedTime(started).TotalSeconds;
            },
            () => python.Load(path));
        return Pairs.RowOf($"open and load a {what}", new FileInfo(path).Length, pairs, "torch.load(weights_only=True)", "figure");
    }
}
