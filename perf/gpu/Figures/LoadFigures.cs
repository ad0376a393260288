using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>
/// Whole loads, page cache warm, device open, kernels loaded: from the call, which allocates, to the last tensor ready. In turn with
/// PyTorch's, so that a machine that is slow for a while is slow for both.
/// </summary>
internal sealed class LoadFigures(
    BenchDevice device, BenchOptions options, Deadline deadline, UploadFigures uploads, PythonPeer? peer, string? noPeer)
{
    private const string Group = "loads";
    private const double LeastOfUpload = 0.9;
    private const double LeastOfTorch = 3;

    private readonly CheckpointLoader _loader = new();
    private readonly LoadCheck _check = new(device);

    /// <summary>Measures one way of loading a checkpoint.</summary>
    /// <param name="name">What is loaded.</param>
    /// <param name="path">The checkpoint.</param>
    /// <param name="dtype">What it becomes; null as stored.</param>
    /// <param name="isComparable">Whether PyTorch loads such files.</param>
    /// <param name="log">Progress.</param>
    /// <returns>The figures, what the first load took, and whether its tensors were right.</returns>
    public async Task<(IReadOnlyList<FigureRow> Rows, StartUpTime First, CheckRow Check)> MeasureAsync(
        string name, string path, DType? dtype, bool isComparable, TextWriter log)
    {
        log.WriteLine($"  {name}");
        await using var checkpoint = await Checkpoint.OpenAsync(path);
        var files = checkpoint.Files.Select(file => file.Path).ToArray();
        await BenchData.ReadAsync(files);
        var plan = _loader.Plan(checkpoint, new LoadOptions { Device = device.Device, DType = dtype });
        if (dtype is { } target)
        {
            device.Device.Prepare(checkpoint.Tensors.Select(tensor => (tensor.DType, target)));
        }

        var started = Stopwatch.GetTimestamp();
        CheckRow check;
        StartUpTime first;
        using (var model = await _loader.LoadAsync(plan))
        {
            first = new StartUpTime($"first load: {name}", Stopwatch.GetElapsedTime(started).TotalSeconds);
            check = await _check.LoadedAsync(name, checkpoint, model, dtype);
        }

        var ours = new List<double>();
        var theirs = new List<double>();
        var peerFailure = isComparable ? noPeer : null;
        for (var i = 0; i < options.Rounds && (i == 0 || !deadline.HasPassed); i++)
        {
            // The order alternates: who comes second finds the caches as the first left them.
            if (i % 2 == 0)
            {
                ours.Add(await OnceAsync(plan));
                peerFailure ??= AskPeer(files, dtype, isComparable, theirs);
            }
            else
            {
                peerFailure ??= AskPeer(files, dtype, isComparable, theirs);
                ours.Add(await OnceAsync(plan));
            }
        }

        return (Rows(name, plan, ours, theirs, peerFailure, isComparable), first, check);
    }

    private List<FigureRow> Rows(string name, LoadPlan plan, List<double> ours, List<double> theirs, string? peerFailure, bool isComparable)
    {
        var note = $"{plan.BytesToRead / (double)(1L << 30):0.00} GiB read, {plan.DestinationBytes / (double)(1L << 30):0.00} GiB placed, {plan.Staging.Lanes} lanes, {ours.Count} rounds";
        var row = RowOf(name, plan.BytesToRead, ours) with { Note = note };
        var rows = new List<FigureRow>
        {
            uploads.BestRate == 0 ? row : row with { Against = "page-locked upload", Ratio = row.Median * 1e9 / uploads.BestRate, Target = LeastOfUpload },
        };
        if (!isComparable)
        {
            return rows;
        }

        var torch = $"{name}, PyTorch's safetensors.torch.load_file";
        if (peerFailure is not null || theirs.Count == 0)
        {
            rows.Add(FigureRow.NotMeasured(Group, torch, peerFailure ?? "no round"));
            return rows;
        }

        rows.Add(RowOf(torch, plan.BytesToRead, theirs));
        rows.Add(row with
        {
            Name = $"{name}, again",
            Against = "PyTorch's, in pairs",
            Ratio = MeasuredStatistic.Of(ours.Zip(theirs, (mine, other) => other / mine)).Median,
            Target = LeastOfTorch,
            Note = null,
        });
        return rows;
    }

    private async Task<double> OnceAsync(LoadPlan plan)
    {
        var started = Stopwatch.GetTimestamp();
        using var model = await _loader.LoadAsync(plan);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private string? AskPeer(IEnumerable<string> files, DType? dtype, bool isComparable, List<double> theirs)
    {
        if (!isComparable)
        {
            return null;
        }

        try
        {
            // One more than is kept: the first warms up.
            if (theirs.Count == 0)
            {
                _ = peer!.Load(files, dtype == DType.F32);
            }

            theirs.Add(peer!.Load(files, dtype == DType.F32));
            return null;
        }
        catch (InvalidOperationException exception)
        {
            return exception.Message;
        }
    }

    private static FigureRow RowOf(string name, long bytes, IReadOnlyList<double> seconds)
    {
        var rate = MeasuredStatistic.Of(seconds.Select(each => bytes / each / 1e9));
        return new FigureRow(Group, name, "GB/s read", rate.Median, rate.Minimum, rate.Maximum);
    }
}
