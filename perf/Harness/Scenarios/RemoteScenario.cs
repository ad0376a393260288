using System.Diagnostics;
using System.Globalization;
using IlgpuLoader.Formats;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>Downloads and streamed loads over the loopback: beside curl with as many connections, beside one another, and with the latency of a far server.</summary>
internal sealed class RemoteScenario : IScenario
{
    // What issue 11 asks for.
    private const double CurlTarget = 0.9;
    private const double StreamTarget = 0.9;
    private const double ConnectionsTarget = 8;
    private const int LatencyMilliseconds = 50;
    private const int Connections = RemoteOptions.DefaultConnections;

    // With latency a load over one connection takes many seconds a round.
    private const int MaximumLatencyRounds = 5;

    public string Name => "remote";

    public string Description => $"download and stream over {Connections} connections of the loopback, beside curl and beside one connection with {LatencyMilliseconds} ms of latency";

    public IReadOnlyList<DataFile> FilesOf(HarnessOptions options) => [DataFiles.Floats(options, ".safetensors"), new DataFile("downloads", 2L * options.Mebibytes << 20)];

    public async Task<IReadOnlyList<Measurement>> RunAsync(HarnessOptions options, CancellationToken cancellationToken)
    {
        var file = await TensorFiles.FloatsAsync(options, ".safetensors", cancellationToken);
        WarmFiles.Read([file], cancellationToken);
        var served = Directory.CreateDirectory(Path.Combine(Path.GetDirectoryName(file)!, "served"));
        var link = Path.Combine(served.FullName, "model.safetensors");
        File.Delete(link);
        File.CreateSymbolicLink(link, file);
        var downloads = Directory.CreateDirectory(Path.Combine(Path.GetDirectoryName(file)!, "downloads"));
        try
        {
            using var near = await RangeProcess.StartAsync(served.FullName, 0, cancellationToken);
            using var far = await RangeProcess.StartAsync(served.FullName, LatencyMilliseconds, cancellationToken);
            var bytes = new FileInfo(file).Length;
            return
            [
                await DownloadAsync(options, near.Address, downloads.FullName, bytes, cancellationToken),
                await StreamAsync(options, near.Address, downloads.FullName, bytes, cancellationToken),
                await LatencyAsync(options, far.Address, bytes, cancellationToken),
            ];
        }
        finally
        {
            downloads.Delete(recursive: true);
            served.Delete(recursive: true);
        }
    }

    private static async Task<Measurement> DownloadAsync(HarnessOptions options, Uri server, string folder, long bytes, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("downloads");
        var curl = ToolProcess.Find("curl") is { } program
            ? new Contestant($"curl, {Connections} processes with a range each", MeasuredAgainst.Baseline, token => CurlAsync(program, server, folder, bytes, token)) { Target = CurlTarget }
            : Contestant.Missing("curl", MeasuredAgainst.Baseline, "curl is not installed");
        // What a download does besides: what arrived is what was promised, and it stays when the power goes.
        var checkedCurl = curl.Skipped is not null
            ? curl
            : new Contestant(
                "the same, then sync and sha256sum",
                MeasuredAgainst.Baseline,
                async token => await curl.Measure(token) + await CheckAsync(folder, token))
            { Target = CurlTarget };
        var row = await InterleavedRounds.MeasureAsync(
            $"download over {Connections} connections, hashed and synced", options.Rounds, token => DownloadAsync(server, folder, bytes, token), [curl, checkedCurl], cancellationToken, warmUp: true);
        return row with { Bytes = bytes };
    }

    private static async Task<Measurement> StreamAsync(HarnessOptions options, Uri server, string folder, long bytes, CancellationToken cancellationToken)
    {
        options.Log.WriteLine("streamed loads");
        var row = await InterleavedRounds.MeasureAsync(
            $"load streamed over {Connections} connections",
            options.Rounds,
            token => LoadAsync(server, Connections, bytes, token),
            [
                new Contestant("the download alone", MeasuredAgainst.Baseline, token => DownloadAsync(server, folder, bytes, token)) { Target = StreamTarget },
            ],
            cancellationToken,
            warmUp: true);
        return row with { Bytes = bytes };
    }

    private static async Task<Measurement> LatencyAsync(HarnessOptions options, Uri server, long bytes, CancellationToken cancellationToken)
    {
        options.Log.WriteLine($"{LatencyMilliseconds} ms of latency");
        var row = await InterleavedRounds.MeasureAsync(
            $"load streamed over {Connections} connections, {LatencyMilliseconds} ms of latency",
            Math.Min(options.Rounds, MaximumLatencyRounds),
            token => LoadAsync(server, Connections, bytes, token),
            [new Contestant("over one connection", MeasuredAgainst.Baseline, token => LoadAsync(server, 1, bytes, token)) { Target = ConnectionsTarget }],
            cancellationToken);
        return row with { Bytes = bytes };
    }

    private static Task<double> DownloadAsync(Uri server, string folder, long bytes, CancellationToken cancellationToken)
    {
        MachineMemory.Get(bytes, cancellationToken);
        return HubDownload.MeasureAsync(server, folder, Connections, cancellationToken);
    }

    // Opening counts, since a stranger's file is opened once.
    private static async Task<double> LoadAsync(Uri server, int connections, long bytes, CancellationToken cancellationToken)
    {
        MachineMemory.Get(bytes, cancellationToken);
        var started = Stopwatch.GetTimestamp();
        using var remote = RemoteCheckpoints.Create(new RemoteOptions { Connections = connections });
        await using var checkpoint = await Checkpoint.OpenAsync($"{server}files/model.safetensors", new CheckpointOptions { Remote = remote }, cancellationToken);
        var loader = new CheckpointLoader();
        await using var model = await loader.LoadAsync(loader.Plan(checkpoint, LoadOptions.Default), null, cancellationToken);
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    // A file each: what they are put together with afterwards is not counted.
    private static async Task<double> CurlAsync(string curl, Uri server, string folder, long bytes, CancellationToken cancellationToken)
    {
        foreach (var name in Directory.EnumerateFiles(folder, "part*"))
        {
            File.Delete(name);
        }

        MachineMemory.Get(bytes, cancellationToken);
        var part = (bytes + Connections - 1) / Connections;
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, Connections).Select(i => ToolProcess.StartAsync(
            curl,
            [
                "--silent", "--fail", "--range", string.Create(CultureInfo.InvariantCulture, $"{i * part}-{Math.Min(bytes, (i + 1) * part) - 1}"),
                "--output", Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"part{i}")), $"{server}files/model.safetensors",
            ],
            cancellationToken)));
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static async Task<double> CheckAsync(string folder, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(
            ToolProcess.StartAsync("/bin/sync", ["--data", .. Parts(folder)], cancellationToken),
            ToolProcess.StartAsync("/bin/sh", ["-c", "cat \"$@\" | sha256sum", "sh", .. Parts(folder)], cancellationToken));
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    private static IEnumerable<string> Parts(string folder) =>
        Enumerable.Range(0, Connections).Select(i => Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"part{i}")));
}
