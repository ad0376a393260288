using System.Diagnostics;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// Float32 in 256 tensors as a PyTorch file: opening, loading in interleaved rounds with the limits and with the same tensors as
/// safetensors, and against <c>torch.load</c> of the same tensors in every form that Python's torch reads, each into fresh memory.
/// </summary>
internal sealed class TorchScenario : IScenario
{
    // Three times the best of what torch.load does: every form is held against that.
    private const double Target = 3;

    public string Name => "torch";

    public string Description => "open and load a PyTorch file: beside safetensors, the limits, and torch.load of zip, legacy and mapped files";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Floats(options, ".pt"), DataFiles.Floats(options, ".legacy.pt"), DataFiles.Floats(options, ".safetensors"), DataFiles.Many(".pt")];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var torch = await TensorFiles.FloatsAsync(options, ".pt", cancellationToken);
        var many = await TensorFiles.ManyAsync(options, ".pt", cancellationToken);
        options.Log.WriteLine("opening in new processes");
        var (first, later) = await OpenScenario.OpenAsync(options, torch, cancellationToken);
        var (_, laterMany) = await OpenScenario.OpenAsync(options, many, cancellationToken);
        List<Measurement> rows =
        [
            HeaderRead.RowOf("open a .pt of 256 tensors, first in a process", first),
            HeaderRead.RowOf("open a .pt of 256 tensors, 2nd to 20th", later) with { Budget = 0.020 },
            HeaderRead.RowOf("open a .pt of 10,000 tensors, 2nd to 20th", laterMany),
        ];
        await using var file = await MeasuredFile.OpenAsync(options, torch, cancellationToken);
        await LoadAsync(options, file, rows, cancellationToken);
        rows.Add(await ToolMemory.MeasureAsync(
            "peak memory of the tool, .pt keep", torch, file.Plan(), LoadOptions.DefaultStagingBytes, [], cancellationToken));
        await AgainstPythonAsync(options, file, torch, many, rows, cancellationToken);
        return rows;
    }

    private static async Task LoadAsync(HarnessOptions options, MeasuredFile file, List<Measurement> rows, CancellationToken cancellationToken)
    {
        var safetensors = await TensorFiles.FloatsAsync(options, ".safetensors", cancellationToken);
        await using var other = await IlgpuLoader.Formats.Checkpoint.OpenAsync(safetensors, null, cancellationToken);
        WarmFiles.Read([safetensors], cancellationToken);
        options.Log.WriteLine("loading .pt");
        var loader = new CheckpointLoader();
        var (plan, otherPlan) = (file.Plan(), MeasuredFile.PlanBuffered(other, LoadOptions.Default));
        await using (var model = await loader.LoadAsync(otherPlan, null, cancellationToken))
        {
            var beside = new Contestant("the same tensors as safetensors", MeasuredAgainst.Baseline, async token =>
            {
                var started = Stopwatch.GetTimestamp();
                await loader.LoadIntoAsync(otherPlan, model, null, token);
                return Stopwatch.GetElapsedTime(started).TotalSeconds;
            });
            rows.Add(await LoadMeasurements.AgainAsync(
                ".pt keep, reused memory", plan, options.Rounds, [file.Limits.Read(plan, 0.95), beside], cancellationToken));
        }

        rows.Add(await LoadMeasurements.FirstAsync(
            ".pt keep, first load", plan, options.Rounds, [file.Limits.FirstTouchAndRead(plan, 0.9)], cancellationToken));
    }

    private static async Task AgainstPythonAsync(
        HarnessOptions options, MeasuredFile file, string torch, string many, List<Measurement> rows, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("against torch.load");
        using var plain = PeerScripts.TorchLoad("zip", "plain");
        using var mapped = PeerScripts.TorchLoad("mmap=True", "mmap");
        rows.Add(await FreshLoad.RowAsync(
            "open and load a .pt of 256 tensors",
            options.Rounds,
            torch,
            new FileInfo(torch).Length,
            [file.Limits.FirstTouchAndRead(file.Plan()), plain.Loading(torch, Target), mapped.Loading(torch, Target), await LegacyAsync(torch)],
            cancellationToken));
        await using var small = await MeasuredFile.OpenAsync(options, many, cancellationToken);
        rows.Add(await FreshLoad.RowAsync(
            "open and load a .pt of 10,000 tensors", options.Rounds, many, null, [small.Limits.FirstTouchAndRead(small.Plan()), plain.Loading(many)], cancellationToken));

        // torch.load of the copy against ours of the same tensors; the process is the one that reads zip files.
        async Task<Contestant> LegacyAsync(string path)
        {
            const string name = "torch.load legacy";
            var copy = Path.ChangeExtension(path, ".legacy.pt");
            var reason = plain.Missing ?? await PeerScripts.WriteLegacyAsync(path, copy, cancellationToken);
            return reason is not null
                ? Contestant.Missing(name, MeasuredAgainst.Peer, reason)
                : plain.Loading(copy, Target) with { Name = name };
        }
    }
}
