using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// Measures how fast a checkpoint is opened, planned and loaded on this machine, in interleaved pairs with what the machine can do by itself:
/// plain reads of the same files, first touch, streaming fill, uploads. Besides the tensors and the staging slots it takes at most half of the
/// memory that is free then for plain reads to go into, and loads that do not fit into memory are left out. Measure on a machine that does nothing else; one benchmark at a time.
/// </summary>
public sealed class CheckpointBenchmark
{
    // What the process may take beside the tensors and the staging slots: the runtime, headers, one decoded block a lane.
    private const long MemoryOverhead = 150L << 20;

    // Opens, peak, limits, first load, again, mapped, cold.
    private const int FixedSteps = 7;

    private const string MappedRow = "load keep, mapped, zero-copy";

    private readonly string _path;
    private readonly CheckpointBenchmarkOptions _options;
    private readonly IProgress<BenchmarkProgress>? _progress;
    private readonly CheckpointLoader _loader = new();
    private readonly List<Measurement> _rows = [];
    private int _step;

    private CheckpointBenchmark(string path, CheckpointBenchmarkOptions options, IProgress<BenchmarkProgress>? progress) =>
        (_path, _options, _progress) = (path, options, progress);

    /// <summary>Measures a checkpoint of local files.</summary>
    /// <param name="path">A file, folder or index.</param>
    /// <param name="options">What is measured; null for the defaults.</param>
    /// <param name="progress">Called before each step, from the thread that measures.</param>
    /// <param name="cancellationToken">Ends the work within the time of one slot; everything is freed.</param>
    /// <returns>The report. What could not be measured is in it, with the reason.</returns>
    /// <exception cref="ArgumentException">An option is out of range, or none of the tensors is chosen.</exception>
    /// <exception cref="UnsupportedCheckpointException">The chosen tensors have no bytes.</exception>
    /// <exception cref="CheckpointException">The checkpoint cannot be opened, or is not what it was when it was opened.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="DeviceMemoryException">There is no memory for what is needed to measure at all: 48 MiB for plain reads and copies.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static Task<CheckpointBenchmarkReport> RunAsync(
        string path,
        CheckpointBenchmarkOptions? options = null,
        IProgress<BenchmarkProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(path);
        options ??= new CheckpointBenchmarkOptions();
        ArgumentOutOfRangeException.ThrowIfLessThan(options.Rounds, 1, nameof(options));
        return options.Load.Device.Kind is DeviceKind.Meta or DeviceKind.Group
            ? throw new ArgumentException($"A benchmark loads onto one device that has memory, not '{options.Load.Device.Id}'.", nameof(options))
            : new CheckpointBenchmark(path, options, progress).RunAsync(cancellationToken);
    }

    private async Task<CheckpointBenchmarkReport> RunAsync(CancellationToken cancellationToken)
    {
        var date = DateTimeOffset.UtcNow;
        await OpenAsync(cancellationToken).ConfigureAwait(false);
        var checkpoint = await Checkpoint.OpenAsync(_path, _options.Checkpoint, cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            ThrowIfEmpty(Plan(checkpoint, null), _options);
            MeasurePlan(checkpoint, cancellationToken);
            // Before any yardstick takes memory; the files may be cached or not.
            var cold = Plan(checkpoint, null);
            await TryAsync("peak memory of a load", name => PeakAsync(name, cold, cancellationToken)).ConfigureAwait(false);
            var converted = _options.DTypes.Distinct()
                .Select(dtype => (DType: dtype, Plan: Plan(checkpoint, dtype)))
                .Where(plan => plan.Plan.Tensors.Any(tensor => tensor.DType != tensor.Source.DType)).ToArray();
            Begin("limits", converted.Length);
            // What does not fit is left out later, and takes nothing.
            var largest = converted.Select(plan => plan.Plan).Append(cold).Where(Fits).Select(plan => plan.AllocatedBytes).DefaultIfEmpty().Max();
            var paths = checkpoint.Files.Select(file => file.Path).Distinct().ToArray();
            var room = HostDevice.Shared.FreeMemory - (cold.Device.IsHost ? largest : 0) - cold.Staging.Bytes;
            // As many lanes as warm files are read with.
            var lanes = _loader.Plan(checkpoint, _options.Load with { ReadMode = ReadMode.Buffered }).Staging.Lanes;
            using var yardsticks = new Yardsticks(paths, cold.Device, lanes, room / 2, cancellationToken);
            var limits = await yardsticks.MeasureAsync(_options.Rounds, cancellationToken).ConfigureAwait(false);
            // A plan keeps the read mode that it was made with: these are made now that plain reads have brought the files into the cache.
            var keep = Plan(checkpoint, null);
            converted = [.. converted.Select(plan => plan with { Plan = Plan(checkpoint, plan.DType) })];
            await MeasureLoadsAsync(keep, converted, yardsticks, paths, cancellationToken).ConfigureAwait(false);
            return new CheckpointBenchmarkReport(
                checkpoint.Path,
                checkpoint.Format,
                keep.Tensors.Length,
                keep.BytesToRead,
                MachineDescription.Current,
                keep.Device.Id,
                date,
                _options.Rounds,
                keep.Staging.Lanes,
                keep.Staging.Bytes,
                _options.Load.ReadMode,
                yardsticks.Reads.BufferBytes,
                yardsticks.Reads.IsBounded,
                yardsticks.AreFilesCached,
                [.. limits],
                [.. _rows]);
        }
    }

    private async Task MeasureLoadsAsync(
        LoadPlan keep, (DType DType, LoadPlan Plan)[] converted, Yardsticks yardsticks, string[] paths, CancellationToken cancellationToken)
    {
        var rounds = _options.Rounds;
        Begin("first load", converted.Length);
        await TryAsync("load keep, first load", name => FirstAsync(name, keep, yardsticks, cancellationToken)).ConfigureAwait(false);
        Begin("load again", converted.Length);
        await TryAsync("load keep, reused memory", name => LoadMeasurements.AgainAsync(
            name, keep, rounds, Held(keep, keep.Device.IsHost ? [yardsticks.Read(keep)] : [yardsticks.Read(keep), yardsticks.Upload(keep)!]), cancellationToken))
            .ConfigureAwait(false);
        foreach (var (dtype, plan) in converted)
        {
            var what = $"load to {dtype.Name.ToLowerInvariant()}";
            Begin(what, converted.Length);
            if (plan.MappedCount > 0)
            {
                // What keeps its dtype is mapped, and cannot be loaded again.
                await TryAsync($"{what}, first load", name => FirstAsync(name, plan, yardsticks, cancellationToken)).ConfigureAwait(false);
                continue;
            }

            await TryAsync($"{what}, reused memory", name => LoadMeasurements.AgainAsync(
                name, plan, rounds, Held(plan, plan.Device.IsHost ? [yardsticks.ReadAndFill(plan)] : [yardsticks.Read(plan), yardsticks.Upload(plan)!]), cancellationToken))
                .ConfigureAwait(false);
        }

        Begin("mapped", converted.Length);
        await TryReadAsync(MappedRow, name => MapAsync(name, keep, cancellationToken)).ConfigureAwait(false);
        Begin("cold", converted.Length);
        if (_options.Cold)
        {
            await TryReadAsync("load keep, cold, reused memory", name => ColdAsync(name, keep, yardsticks, paths, cancellationToken)).ConfigureAwait(false);
        }
    }

    private async Task<Measurement> FirstAsync(string name, LoadPlan plan, Yardsticks yardsticks, CancellationToken cancellationToken) =>
        plan.MappedCount > 0 && plan.BytesToRead == 0
            ? Measurement.LeftOut(name, $"every tensor is a view of a mapped file, so that nothing is read: see '{MappedRow}'")
            : await LoadMeasurements.FirstAsync(
                name,
                plan,
                _options.Rounds,
                Held(plan, plan.Device.IsHost ? [yardsticks.FirstTouchAndRead(plan)] : [yardsticks.Read(plan), yardsticks.Upload(plan)!]),
                cancellationToken).ConfigureAwait(false);

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        Begin("open", _options.DTypes.Length);
        var seconds = new List<double>();
        for (var round = 0; round < _options.Rounds; round++)
        {
            var started = Stopwatch.GetTimestamp();
            var checkpoint = await Checkpoint.OpenAsync(_path, _options.Checkpoint, cancellationToken).ConfigureAwait(false);
            seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
            await checkpoint.DisposeAsync().ConfigureAwait(false);
        }

        _rows.Add(Measurement.Of("open", MeasuredQuantity.Seconds, seconds));
    }

    private void MeasurePlan(Checkpoint checkpoint, CancellationToken cancellationToken)
    {
        var seconds = new List<double>();
        for (var round = 0; round < _options.Rounds; round++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var started = Stopwatch.GetTimestamp();
            _ = Plan(checkpoint, null);
            seconds.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
        }

        _rows.Add(Measurement.Of("plan", MeasuredQuantity.Seconds, seconds));
    }

    // Held against what a load may take: the tensors where they are on the host, the slots, and a fixed rest.
    private async Task<Measurement> PeakAsync(string name, LoadPlan plan, CancellationToken cancellationToken)
    {
        Begin("peak memory", _options.DTypes.Length);
        if (!PeakMemory.TryReset())
        {
            return Measurement.LeftOut(name, "the system does not forget earlier peaks of a process");
        }

        var (_, readMode) = await LoadMeasurements.FirstAsync(plan, cancellationToken).ConfigureAwait(false);
        var tensors = plan.Device.IsHost ? plan.DestinationBytes : 0;
        return Measurement.Of(name, MeasuredQuantity.Bytes, [PeakMemory.Read()]) with
        {
            Budget = tensors + plan.Staging.Bytes + plan.ScratchBytes + MemoryOverhead,
            ReadMode = readMode,
        };
    }

    // A checkpoint of its own: files that are mapped by another stay in the page cache.
    private async Task<Measurement> MapAsync(string name, LoadPlan keep, CancellationToken cancellationToken)
    {
        if (!keep.Device.IsHost)
        {
            return Measurement.LeftOut(name, $"tensors on {keep.Device.Id} are copied there in any case");
        }

        var checkpoint = await Checkpoint.OpenAsync(_path, _options.Checkpoint, cancellationToken).ConfigureAwait(false);
        await using (checkpoint.ConfigureAwait(false))
        {
            var plan = _loader.Plan(checkpoint, keep.Options with { ReadMode = ReadMode.Mapped });
            var row = await LoadMeasurements.FirstAsync(name, plan, _options.Rounds, [], cancellationToken).ConfigureAwait(false);
            return row with { Bytes = null };
        }
    }

    private async Task<Measurement> ColdAsync(
        string name, LoadPlan plan, Yardsticks yardsticks, string[] paths, CancellationToken cancellationToken)
    {
        if (FileResidency.TryDrop(paths) is { } reason)
        {
            return Measurement.LeftOut(name, reason);
        }

        var reads = yardsticks.Reads;
        var best = reads.FindBest(
            reads.HasDirect ? [.. ReadSetting.Buffered, .. ReadSetting.Direct] : ReadSetting.Buffered, 1, cancellationToken, Drop);
        return await LoadMeasurements.AgainAsync(
            name,
            () =>
            {
                Drop();
                return Plan(plan.Checkpoint, null);
            },
            _options.Rounds,
            Held(
                plan,
                [
                    Contestant.Limit($"cold {best}", token =>
                    {
                        Drop();
                        return reads.Measure(best, token, plan.BytesToRead);
                    }),
                ]),
            cancellationToken).ConfigureAwait(false);

        // What stays behind at some later time makes one round too fast, which its greatest value shows.
        void Drop() => _ = FileResidency.TryDrop(paths);
    }

    private LoadPlan Plan(Checkpoint checkpoint, DType? dtype) => _loader.Plan(checkpoint, _options.Load with { DType = dtype });

    // A ratio of microseconds would say how long threads take to start.
    private static Contestant[] Held(LoadPlan plan, Contestant[] others) => plan.BytesToRead < Measurement.LeastBytesOfSpeed ? [] : others;

    private static void ThrowIfEmpty(LoadPlan plan, CheckpointBenchmarkOptions options)
    {
        var checkpoint = plan.Checkpoint;
        if (plan.Tensors.IsEmpty && checkpoint.Tensors.Length > 0)
        {
            throw new ArgumentException(
                $"None of the {checkpoint.Tensors.Length} tensors is chosen by the patterns {string.Join(", ", options.Load.Include.Concat(options.Load.Exclude))}: there is nothing to measure.",
                nameof(options));
        }

        if (plan.DestinationBytes + plan.MappedBytes == 0)
        {
            throw new UnsupportedCheckpointException(
                "benchmarks of no bytes",
                checkpoint.Path,
                $"the {plan.Tensors.Length} tensors that are chosen have no bytes, so that there is nothing to measure.",
                checkpoint.Format);
        }
    }

    private static bool Fits(LoadPlan plan) =>
        plan.MemoryNeeds().All(need => need.NeededBytes + (need.Device.IsHost ? Yardsticks.LeastBytes : 0) <= need.FreeBytes);

    // What does not fit is a line of the report.
    private async Task TryAsync(string name, Func<string, Task<Measurement>> measure)
    {
        try
        {
            _rows.Add(await measure(name).ConfigureAwait(false));
        }
        catch (DeviceMemoryException exception)
        {
            _rows.Add(Measurement.LeftOut(name, exception.Message));
        }
    }

    // A file system may refuse what nobody reads in another way: to map a file, to drop it, to read past the page cache.
    private async Task TryReadAsync(string name, Func<string, Task<Measurement>> measure)
    {
        try
        {
            await TryAsync(name, measure).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or NotSupportedException)
        {
            _rows.Add(Measurement.LeftOut(name, exception.Message));
        }
    }

    private void Begin(string step, int conversions) => _progress?.Report(new BenchmarkProgress(step, _step++, FixedSteps + conversions));
}
