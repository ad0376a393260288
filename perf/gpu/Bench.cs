using System.Diagnostics;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Perf.Gpu;

/// <summary>The whole run: what is right first, then how fast it is. The report is written again after every step.</summary>
internal sealed class Bench(BenchDevice device, BenchOptions options, Results results, TextWriter log)
{
    private readonly Deadline _deadline = new(options.Minutes);

    public async Task RunAsync()
    {
        results.Facts.AddRange(MachineFacts.Of(device, options));
        results.StartUp.AddRange(device.StartUp);
        log.WriteLine($"{device.Device.Id}: {device.Device.Name}");
        var folder = Directory.CreateDirectory(Path.Combine(options.DataFolder, $"gpu-bench-{Environment.ProcessId}")).FullName;
        try
        {
            if (options.Checks)
            {
                await CheckAsync(folder);
            }

            if (options.MeasuresFigures && device.IsSimulator)
            {
                results.Facts.Add(new("figures", "none: the simulator's time says nothing of a device's"));
            }
            else if (options.MeasuresFigures)
            {
                await MeasureAsync(folder);
            }

            results.Facts.Add(new("took", $"{_deadline.Elapsed.TotalMinutes:0.0} minutes"));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private async Task CheckAsync(string folder)
    {
        log.WriteLine("checking codecs");
        Add(new DecodeCheck(device).Run(log));
        log.WriteLine("checking tensors");
        Add(await new TensorCheck(device).RunAsync().ConfigureAwait(false));
        var loads = new LoadCheck(device);
        if (options.GoldenFolder is { } golden)
        {
            log.WriteLine("checking golden files");
            Add(await loads.GoldenAsync(golden, folder));
        }

        if (options.SamplesFolder is { } samples)
        {
            log.WriteLine("checking samples");
            Add(await loads.SamplesAsync(samples));
            if (options.SampleApplication is { } sample)
            {
                Add(await SampleCheck.RunAsync(sample, Path.Combine(samples, "tiny-llama"), device.Device));
            }
        }
    }

    private async Task MeasureAsync(string folder)
    {
        MeasureStartUp();
        log.WriteLine("measuring uploads");
        var uploads = new UploadFigures(device, options);
        Add(uploads.Measure());
        var (peer, noPeer) = PythonPeer.Start(options);
        using (peer)
        {
            results.Facts.Add(new("PyTorch", peer?.Facts.ToJsonString() ?? $"not measured: {noPeer}"));
            if (peer is not null)
            {
                Add([TorchUpload(peer)]);
            }

            await MeasureLoadsAsync(folder, new LoadFigures(device, options, _deadline, uploads, peer, noPeer));
        }

        log.WriteLine("measuring kernels");
        Add(new MemoryFigures(device, options).Measure());
        Add(new KernelFigures(device, options, _deadline).Measure(log));
    }

    // The load's own sizes: what it locks in its first run it keeps for the next ones.
    private void MeasureStartUp()
    {
        var started = Stopwatch.GetTimestamp();
        DType[] targets = [DType.F32, DType.F16, DType.BF16];
        var conversions = Codecs.All.SelectMany(codec => targets.Select(target => (codec.DType, target))).ToArray();
        device.Device.Prepare(conversions);
        Add(new StartUpTime($"kernels of {conversions.Length} conversions compiled{(options.Checks ? ", after the checks compiled them" : "")}", Stopwatch.GetElapsedTime(started).TotalSeconds));
        started = Stopwatch.GetTimestamp();
        device.Device.CreateStagingPool(16 << 20, 16).Dispose();
        Add(new StartUpTime("256 MiB of staging page-locked", Stopwatch.GetElapsedTime(started).TotalSeconds));
    }

    private async Task MeasureLoadsAsync(string folder, LoadFigures loads)
    {
        var room = Room.Of(options, device.Device);
        results.Facts.AddRange(room.Notes.Select(note => new KeyValuePair<string, string>("sizes", note)));
        log.WriteLine($"writing {room.Gibibytes:0.0} GiB of bf16 and {room.GgufGibibytes:0.0} GiB of Q4_K to {folder}");
        var started = Stopwatch.GetTimestamp();
        var bf16 = await BenchData.WriteBf16Async(folder, room.Gibibytes);
        var gguf = await BenchData.WriteQ4KAsync(folder, room.GgufGibibytes);
        Add(new StartUpTime("checkpoints written", Stopwatch.GetElapsedTime(started).TotalSeconds));
        log.WriteLine("measuring loads");
        await LoadAsync("bf16 as stored", bf16, null, true);
        await LoadAsync("bf16 to F32", bf16, DType.F32, true);
        await LoadAsync("Q4_K to BF16", gguf, DType.BF16, false);

        async Task LoadAsync(string name, string path, DType? dtype, bool isComparable)
        {
            if (_deadline.HasPassed)
            {
                Add([FigureRow.NotMeasured("loads", name, "the time was up")]);
                return;
            }

            var (rows, first, check) = await loads.MeasureAsync(name, path, dtype, isComparable, log);
            Add(check);
            Add(first);
            Add(rows);
        }
    }

    private FigureRow TorchUpload(PythonPeer peer)
    {
        const string name = "PyTorch's page-locked upload";
        try
        {
            const long bytes = 2L << 30;
            var rates = Enumerable.Range(0, options.Rounds).Select(_ => bytes / peer.Upload(bytes) / 1e9).Order().ToArray();
            return new FigureRow(UploadFigures.Group, name, "GB/s", rates[rates.Length / 2], rates[0], rates[^1]);
        }
        catch (InvalidOperationException exception)
        {
            return FigureRow.NotMeasured(UploadFigures.Group, name, exception.Message);
        }
    }

    private void Add(CheckRow row)
    {
        results.Checks.Add(row);
        Save();
    }

    private void Add(StartUpTime time)
    {
        results.StartUp.Add(time);
        Save();
    }

    private void Add(IEnumerable<FigureRow> rows)
    {
        foreach (var row in rows)
        {
            results.Figures.Add(row);
        }

        Save();
    }

    private void Save() => ResultsWriter.Write(options.OutputPath, results);
}
