using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// What was tried before the loader's defaults were chosen, the losers included: plain reads with every number of lanes and block size,
/// through the page cache and past it, warm and cold; the same with io_uring; and the loader itself with every mode and number of lanes.
/// </summary>
internal sealed class TuningScenario : IScenario
{
    private const int MaximumRounds = 3;

    private static readonly int[] LaneCounts = [1, 2, 4, 8];
    private static readonly int[] BlockSizes = [1 << 20, 4 << 20, 16 << 20];
    private static readonly int[] Depths = [4, 16, 64];
    private static readonly int[] RingBlockSizes = [256 << 10, 1 << 20, 4 << 20];

    public string Name => "tuning";

    public string Description => $"every read mode, number of lanes and block size that was tried, io_uring too; at most {MaximumRounds} rounds";

    public bool IsDefault => false;

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) =>
        [DataFiles.Floats(options, ".safetensors")];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var path = await TensorFiles.FloatsAsync(options, ".safetensors", cancellationToken);
        await using var file = await MeasuredFile.OpenAsync(options, path, cancellationToken);
        var rounds = Math.Min(options.Rounds, MaximumRounds);
        var rows = new List<Measurement>();
        await PlainAsync("warm, ", isDirect: false, null);
        await LoaderAsync("warm, ", ReadMode.Buffered, null);
        var notCold = ColdFiles.TryDrop([path]);
        foreach (var isDirect in (bool[])[false, true])
        {
            if (notCold is not null || (isDirect && !file.Limits.Reads.HasDirect))
            {
                rows.Add(Measurement.LeftOut(isDirect ? "cold, O_DIRECT" : "cold, buffered", notCold ?? "the file system has no O_DIRECT"));
                continue;
            }

            await PlainAsync("cold, ", isDirect, Drop);
            await LoaderAsync("cold, ", isDirect ? ReadMode.Direct : ReadMode.Buffered, Drop);
        }

        await RingAsync("warm, ", isDirect: false, null);
        if (notCold is null && file.Limits.Reads.HasDirect)
        {
            await RingAsync("cold, ", isDirect: true, Drop);
        }

        return rows;

        void Drop() => ColdFiles.Drop([path]);

        async Task PlainAsync(string name, bool isDirect, Action? before)
        {
            foreach (var setting in from lanes in LaneCounts from block in BlockSizes select new ReadSetting(lanes, block, isDirect))
            {
                await AddAsync($"{name}{setting}", before, token => Task.FromResult(file.Limits.Reads.Measure(setting, token)));
            }
        }

        async Task RingAsync(string name, bool isDirect, Action? before)
        {
            using var ring = RingYardstick.TryCreate(path, isDirect, out var reason);
            if (ring is null)
            {
                rows.Add(Measurement.LeftOut($"{name}io_uring", reason!));
                return;
            }

            foreach (var (depth, block) in from depth in Depths from block in RingBlockSizes select (depth, block))
            {
                await AddAsync(
                    $"{name}io_uring{(isDirect ? ", O_DIRECT" : "")}, depth {depth} x {block >> 10} KiB", before, token => Task.FromResult(ring.Measure(depth, block, token)));
            }
        }

        async Task LoaderAsync(string name, ReadMode mode, Action? before)
        {
            foreach (var lanes in LaneCounts)
            {
                var plan = file.PlanAsAsked(new LoadOptions { ReadMode = mode, Lanes = lanes });
                var title = $"{name}the loader, {mode.ToString().ToLowerInvariant()}, {lanes} {(lanes == 1 ? "lane" : "lanes")}";
                options.Log.WriteLine(title);
                var row = await LoadMeasurements.AgainAsync(title, plan, rounds, [], cancellationToken, before);
                rows.Add(row.Because("these rows are held against each other"));
            }
        }

        async Task AddAsync(string name, Action? before, Func<CancellationToken, Task<double>> measure)
        {
            options.Log.WriteLine(name);
            var row = await InterleavedRounds.MeasureAsync(name, rounds, token =>
            {
                before?.Invoke();
                return measure(token);
            }, [], cancellationToken);
            rows.Add(row.Because("these rows are held against each other") with { Bytes = file.Limits.Reads.TotalBytes });
        }
    }
}
