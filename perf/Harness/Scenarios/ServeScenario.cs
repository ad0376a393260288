using System.Globalization;
using System.Text.Json;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>
/// The service as a process of its own, under traffic from another: how long answers take while a model is loaded and reloaded, what that costs the loads, what memory is left after unloads, and how
/// long a stop takes in the middle of a load.
/// </summary>
internal sealed class ServeScenario : IScenario
{
    private const string Model = "big";
    private const string Wide = "wide";
    private const int Connections = 200;
    private const int Reloads = 10;
    private const int Unloads = 10;

    // What issue 10 asks for.
    private const double MostSeconds = 0.05;
    private const double LeastThroughput = 0.9;
    private const long MostLeft = 64L << 20;
    private const double MostStopSeconds = 1;

    // The next request of the same connection is due then.
    private const double LongestAnswer = 1;

    // Enough requests for a 99th percentile also where loads take milliseconds.
    private static readonly TimeSpan LeastTraffic = TimeSpan.FromSeconds(2);

    // Of a load: before the first byte, in the middle, and near the end.
    private static readonly double[] Moments = [0, 0.1, 0.3, 0.5, 0.7, 0.9];

    public string Name => "serve";

    public string Description => $"the service with {Connections} connections at a request a second each: latency, loads beside them, memory after unloads, stops";

    public bool IsDefault => false;

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) => [DataFiles.Llama(options)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux())
        {
            return [Measurement.LeftOut("the service under traffic", "signals and resident memory are read as Linux has them")];
        }

        var folder = await TensorFiles.LlamaAsync(options, cancellationToken);
        WarmFiles.Read(Directory.EnumerateFiles(folder), cancellationToken);
        using var configuration = new ServiceConfiguration(folder, Model, Wide);
        return
        [
            .. await MemoryAsync(options, configuration, cancellationToken),
            .. await TrafficAsync(options, configuration, DataBytes(folder), cancellationToken),
            .. await StopAsync(options, configuration, cancellationToken),
        ];
    }

    // First, in a process that has served nothing yet: what is left must not hide in what traffic left.
    private static async Task<IReadOnlyList<Measurement>> MemoryAsync(HarnessOptions options, ServiceConfiguration configuration, CancellationToken cancellationToken)
    {
        options.Log.WriteLine($"{Unloads} loads and unloads");
        using var service = await ServiceProcess.StartAsync(configuration.Path, cancellationToken);
        using var client = service.Connect();
        _ = await client.StatusAsync(Model, cancellationToken);
        var start = service.ResidentBytes();
        var left = new List<double>();
        for (var i = 0; i < Unloads; i++)
        {
            await client.LoadAsync(Model, "load", cancellationToken);
            await client.UnloadAsync(Model, cancellationToken);
            await client.UntilDevicesAreEmptyAsync(cancellationToken);
            left.Add(service.ResidentBytes() - start);
        }

        await service.TerminateAsync(cancellationToken);
        // Never less than a byte, of which a ratio can be told.
        return
        [
            Measurement.Of($"resident memory after {Unloads} unloads beyond the start, the most", MeasuredQuantity.Bytes, [Math.Max(1, left.Max())]) with
            {
                Budget = MostLeft,
                Note = string.Create(
                    CultureInfo.InvariantCulture,
                    $"start {start / 1048576.0:0} MiB; beyond it {string.Join(", ", left.Select(bytes => (bytes / 1048576).ToString("0", CultureInfo.InvariantCulture)))} MiB; the devices have 0 bytes after each"),
            },
        ];
    }

    private static async Task<IReadOnlyList<Measurement>> TrafficAsync(
        HarnessOptions options, ServiceConfiguration configuration, long tensorBytes, CancellationToken cancellationToken)
    {
        using var service = await ServiceProcess.StartAsync(configuration.Path, cancellationToken);
        using var client = service.Connect();
        using var traffic = await TrafficProcess.StartAsync(service.Address, Model, Connections, cancellationToken);

        options.Log.WriteLine("the same load with and without traffic");
        var parts = new List<TrafficResult>();
        var bytes = 0L;
        var loads = await InterleavedRounds.MeasureAsync(
            $"load with {Connections} connections",
            options.Rounds,
            async token =>
            {
                await traffic.GoAsync();
                // Each connection has asked once.
                await Task.Delay(TimeSpan.FromSeconds(1), token);
                var seconds = await LoadAsync(token);
                parts.Add(await traffic.PauseAsync(token));
                return seconds;
            },
            [new Contestant("the same load without them", MeasuredAgainst.Baseline, LoadAsync) { Target = LeastThroughput }],
            cancellationToken,
            warmUp: true);

        options.Log.WriteLine($"a load and {Reloads} reloads under traffic");
        await traffic.GoAsync();
        await Task.Delay(LeastTraffic, cancellationToken);
        var idle = (await traffic.PauseAsync(cancellationToken)).All;
        // A reload has the old tensors and the new ones.
        MachineMemory.Get(2 * tensorBytes, cancellationToken);
        await traffic.GoAsync();
        var least = Task.Delay(LeastTraffic, cancellationToken);
        await client.LoadAsync(Model, "load", cancellationToken);
        for (var i = 0; i < Reloads; i++)
        {
            await client.LoadAsync(Model, "reload", cancellationToken);
        }

        await least;
        var result = await traffic.PauseAsync(cancellationToken);
        await service.TerminateAsync(cancellationToken);
        var (all, name) = (result.All, $"of {Connections} connections during a load and {Reloads} reloads");
        return
        [
            Measurement.Of($"99 of 100 answers, {name}", MeasuredQuantity.Seconds, [all.P99]) with
            {
                Budget = MostSeconds,
                Note = result.Describe(),
                // What the machine and the asking process take for themselves.
                Comparisons = [new MeasuredComparison("the same while nothing is loaded", MeasuredAgainst.Baseline, [new MeasuredPair(all.P99, idle.P99)])],
            },
            result.Undisturbed.Count == 0
                ? Measurement.LeftOut("99 of 100 answers, those during which the machine ran", "the system does not let a thread run before all others, or no answer was without a standstill")
                : Measurement.Of("99 of 100 answers, those during which the machine ran", MeasuredQuantity.Seconds, [Latencies.Of(result.Undisturbed).P99]) with
                {
                    Budget = MostSeconds,
                    Note = FormattableString.Invariant($"{result.Undisturbed.Count} of {all.Count}; during the others the host of the virtual machine stopped a processor for 5 ms or more"),
                },
            .. result.Seconds.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair =>
                Measurement.Of($"99 of 100 answers, {pair.Key}", MeasuredQuantity.Seconds, [Latencies.Of(pair.Value).P99]) with { Budget = MostSeconds }),
            Measurement.Of($"half of the answers, {name}", MeasuredQuantity.Seconds, [all.Median]).Because("see the 99th"),
            Measurement.Of($"the longest answer, {name}", MeasuredQuantity.Seconds, [all.Maximum]) with
            {
                Budget = LongestAnswer,
                Note = FormattableString.Invariant($"a request that fails counts as {TrafficResult.FailedSeconds} s"),
            },
            loads.Because("what a service adds to a load is measured; the load itself is measured by others") with { Bytes = bytes, Note = TrafficResult.Of(parts).Describe() },
        ];

        async Task<double> LoadAsync(CancellationToken token)
        {
            MachineMemory.Get(tensorBytes, token);
            var loaded = await client.LoadAsync(Model, "load", token);
            await client.UnloadAsync(Model, token);
            bytes = loaded.BytesRead;
            return loaded.LoadSeconds!.Value;
        }
    }

    private static long DataBytes(string folder) => new DirectoryInfo(folder).EnumerateFiles().Sum(file => file.Length);

    private static async Task<IReadOnlyList<Measurement>> StopAsync(HarnessOptions options, ServiceConfiguration configuration, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("stops in the middle of a load to f32");
        var stops = new List<(double At, string State, double Seconds)>();
        foreach (var moment in Moments)
        {
            using var service = await ServiceProcess.StartAsync(configuration.Path, cancellationToken);
            using var client = service.Connect();
            await client.PostAsync(Wide, "load", cancellationToken);
            var model = await client.UntilAsync(Wide, now => now.State == "Loaded" || (now.State == "Loading" && now.Fraction >= moment), cancellationToken);
            stops.Add((model.Fraction ?? 1, model.State, await service.TerminateAsync(cancellationToken)));
        }

        return
        [
            Measurement.Of("from SIGTERM to the end, a load to f32 in flight, the longest", MeasuredQuantity.Seconds, [stops.Max(stop => stop.Seconds)]) with
            {
                Budget = MostStopSeconds,
                Note = string.Join(", ", stops.Select(stop => string.Create(CultureInfo.InvariantCulture, $"{stop.State} {stop.At:0 %}: {stop.Seconds * 1e3:0} ms"))),
            },
        ];
    }

    /// <summary>A configuration file with one checkpoint as two models, neither of which is loaded by itself; removed when disposed.</summary>
    private sealed class ServiceConfiguration : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("ilgpu-loader-serve-");

        public ServiceConfiguration(string checkpoint, string asStored, string wide)
        {
            Path = System.IO.Path.Combine(_folder.FullName, "appsettings.json");
            var models = new Dictionary<string, object>(StringComparer.Ordinal)
            {
                [asStored] = new { Path = checkpoint, Device = "host", LoadOnStart = false },
                [wide] = new { Path = checkpoint, Device = "host", LoadOnStart = false, DType = "f32" },
            };
            File.WriteAllText(Path, JsonSerializer.Serialize(new { IlgpuLoader = new { Models = models } }));
        }

        public string Path { get; }

        public void Dispose() => _folder.Delete(recursive: true);
    }
}
