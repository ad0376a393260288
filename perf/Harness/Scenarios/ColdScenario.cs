using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Files that are not in the page cache, memory reused: every way of reading against the best plain cold reads at any depth.</summary>
internal sealed class ColdScenario : IScenario
{
    private static readonly (string Name, ReadMode Mode)[] Modes =
        [("buffered", ReadMode.Buffered), ("direct", ReadMode.Direct), ("auto", ReadMode.Auto)];

    public string Name => "cold";

    public string Description => "load files that are not in the page cache, buffered, direct and auto, against the best plain cold reads";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Floats(options, ".safetensors")];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var path = await TensorFiles.FloatsAsync(options, ".safetensors", cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, path, cancellationToken);
        if (ColdFiles.TryDrop(file.Paths) is { } reason)
        {
            return [.. Modes.Select(mode => Measurement.LeftOut(NameOf(mode.Name), reason))];
        }

        options.Log.WriteLine("looking for the fastest plain cold reads");
        var reads = file.Limits.Reads;
        var settings = reads.HasDirect ? ReadSetting.Buffered.Concat(ReadSetting.Direct) : ReadSetting.Buffered;
        var best = reads.FindBest(settings, 1, cancellationToken, () => ColdFiles.Drop(file.Paths));
        var rows = new List<Measurement>();
        foreach (var (name, mode) in Modes)
        {
            options.Log.WriteLine($"cold, {name}");
            // The row before may have left the files in the cache, where auto would read them.
            ColdFiles.Drop(file.Paths);
            var plan = file.PlanAsAsked(new LoadOptions { ReadMode = mode });
            var limit = Contestant.Limit($"cold {best}", token =>
            {
                ColdFiles.Drop(file.Paths);
                return reads.Measure(best, token, plan.BytesToRead);
            }) with
            { Target = mode == ReadMode.Buffered ? null : 0.9 };
            var row = await LoadMeasurements.AgainAsync(
                NameOf(name), plan, options.Rounds, [limit], cancellationToken, () => ColdFiles.Drop(file.Paths));
            rows.Add(row with { Note = mode == ReadMode.Auto ? PlannedModes.Describe(plan) : null });
        }

        ColdFiles.Drop(file.Paths);
        rows.Add(await ToolMemory.MeasureAsync(
            "peak memory of the tool, cold, direct",
            path,
            file.PlanAsAsked(new LoadOptions { ReadMode = ReadMode.Direct }),
            LoadOptions.DefaultStagingBytes,
            ["--read", "direct"],
            cancellationToken));
        return rows;
    }

    private static string NameOf(string mode) => $"cold keep, {mode}, reused memory";
}
