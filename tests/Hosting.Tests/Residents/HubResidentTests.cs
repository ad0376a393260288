using System.Diagnostics.Metrics;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Hosted models of the Hub: they are downloaded as they are loaded, and it shows how far that is.</summary>
public sealed class HubResidentTests : IAsyncLifetime, IAsyncDisposable
{
    private const string Commit = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

    private static readonly int[] Counts = [8, 16];

    private readonly ServiceBed _bed = new();
    private readonly TaskCompletionSource _gate = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly RecordedDownloads _told = new();
    private HubDouble _hub = null!;

    public async Task InitializeAsync() => _hub = await HubDouble.StartAsync();

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _bed.DisposeAsync();
        await _hub.DisposeAsync();
        Assert.Equal((0L, 0L), (_bed.Device.LiveAllocations, _bed.Device.LiveBytes));
    }

    [Fact]
    public async Task Load_OfWhatTheCacheHasNot_ShowsTheDownloadThenTheLoad()
    {
        var shards = Add("acme/one");
        var model = Make("one");
        using var metrics = new RecordedMetrics(_bed.Host.Services.GetRequiredService<IMeterFactory>());
        shards[1].Served.FailAlways(new RemoteFault { Until = _gate.Task });
        var loading = model.LoadAsync();

        var status = await StatusAsync(model, now => now.Download is { Files: 1 });
        Assert.Equal((ModelState.Loading, null), (status.State, status.Progress));
        Assert.Equal((2, Length(0), Length(0) + Length(1)), (status.Download!.TotalFiles, status.Download.Bytes, status.Download.TotalBytes));
        Assert.InRange(ModelHealth.Of(status).DownloadPercent!.Value, 1, 99);
        _gate.SetResult();
        await loading;

        var loaded = model.Status;
        Assert.Null(loaded.Download);
        Assert.Equal([LoadStage.Download, LoadStage.Open], loaded.LastLoad!.Stages.Select(stage => stage.Name).Take(2));
        Assert.All(loaded.LastLoad.Stages, stage => Assert.True(stage.Elapsed >= TimeSpan.Zero, $"{stage}"));
        Assert.Equal(Length(0) + Length(1), metrics.Of(IlgpuLoaderTelemetry.BytesDownloaded).Sum(one => one.Value));
        Assert.All(metrics.Of(IlgpuLoaderTelemetry.BytesDownloaded), one => Assert.Equal("model=one,load.kind=load", one.Tags));
    }

    [Fact]
    public async Task Load_OfWhatTheCacheHas_DownloadsNoByte()
    {
        _ = Add("acme/one");
        var model = Make("one");
        await model.LoadAsync();
        await model.UnloadAsync();
        var begun = _told.Begun;
        using var metrics = new RecordedMetrics(_bed.Host.Services.GetRequiredService<IMeterFactory>());
        await model.LoadAsync();

        Assert.Empty(metrics.Of(IlgpuLoaderTelemetry.BytesDownloaded));
        Assert.Equal((begun, TimeSpan.Zero), (_told.Begun, model.Status.LastLoad!.DownloadTime));
        Assert.Equal(LoadStage.Open, model.Status.LastLoad.Stages[0].Name);
    }

    [Fact]
    public async Task Load_OfWhatTheCacheHasInPart_CountsThatFromTheFirstReportOn()
    {
        var (model, shards) = await FailBehindTheFirstShardAsync();
        var reports = _told.All.Count;
        shards[1].Served.Faults = _ => null;
        await model.LoadAsync();

        Assert.Equal(new DownloadProgress(1, 2, Length(0), Length(0) + Length(1), 0), _told.All[reports]);
        Assert.Equal(new DownloadProgress(2, 2, Length(0) + Length(1), Length(0) + Length(1), Length(1)), _told.All[^1]);
    }

    [Fact]
    public async Task Reload_ThatDownloads_ShowsItBesideWhatIsServed()
    {
        _ = Add("acme/one");
        var model = Make("one");
        await model.LoadAsync();
        // Another commit is the branch's from here on.
        var commit = Commit.Replace('a', 'b');
        var repository = _hub.Add("acme/one");
        for (var shard = 0; shard < Counts.Length; shard++)
        {
            repository.Add(commit, NameOf(shard), Shard(shard, 5), isLarge: true).Served.FailAlways(new RemoteFault { Until = shard == 1 ? _gate.Task : null });
        }

        repository.SetRef("main", commit);
        var reloading = model.ReloadAsync();

        var status = await StatusAsync(model, now => now.Download is { Files: 1 });
        Assert.Equal((ModelState.Reloading, true, 1L), (status.State, status.IsAvailable, status.Version));
        _gate.SetResult();
        await reloading;
        Assert.Equal((2L, null), (model.Status.Version, model.Status.Download));
        using var lease = await model.LeaseAsync();
        Assert.Equal(5f, lease["layers.0.a"].AsReadOnlySpan<float>()[0]);
    }

    [Fact]
    public async Task Download_ThatFails_IsShownNoMore()
    {
        var (model, _) = await FailBehindTheFirstShardAsync();
        Assert.Equal((ModelState.Failed, null), (model.Status.State, model.Status.Download));
    }

    [Fact]
    public async Task Models_ThatDownloadAtTheSameTime_ShowTheirOwn()
    {
        Add("acme/one")[1].Served.FailAlways(new RemoteFault { Until = _gate.Task });
        var other = _hub.Add("acme/two");
        // Other bytes: large files are stored by what they hold.
        other.Add(Commit, "model.safetensors", Shard(0, 2), isLarge: true).Served.FailAlways(new RemoteFault { Until = _gate.Task });
        other.SetRef("main", Commit);
        var (one, two) = (Make("one", "two"), _bed.Store["two"]);
        var loading = Task.WhenAll(one.LoadAsync(), two.LoadAsync());

        var first = await StatusAsync(one, now => now.Download is { Files: 1 });
        var second = await StatusAsync(two, now => now.Download is { TotalFiles: 1 });
        Assert.Equal((Length(0), Length(0) + Length(1)), (first.Download!.Bytes, first.Download.TotalBytes));
        Assert.Equal((0, 0L, Length(0)), (second.Download!.Files, second.Download.Bytes, second.Download.TotalBytes));
        _gate.SetResult();
        await loading;
        // Whoever the host's own options name is told of all.
        Assert.Contains(_told.All, progress => progress is { Files: 2, TotalFiles: 2 });
        Assert.Contains(_told.All, progress => progress is { Files: 1, TotalFiles: 1 });
        Assert.Equal(2, _told.Begun);
    }

    [Fact]
    public async Task Sharded_OfTheHub_DownloadsItsRanksPartsAndIsReloaded()
    {
        var repository = _hub.Add("acme/one");
        foreach (var file in Directory.EnumerateFiles(await _bed.SaveRanksAsync()))
        {
            repository.Add(Commit, Path.GetFileName(file), await File.ReadAllBytesAsync(file), isLarge: file.EndsWith(".safetensors", StringComparison.Ordinal));
        }

        repository.SetRef("main", Commit);
        _ = Make("one");
        var model = _bed.Store["rank"];
        await model.LoadAsync();
        Assert.True(model.Status.LastLoad!.DownloadTime > TimeSpan.Zero);
        var weights = Directory.EnumerateFiles(_bed.Folder["cache"], "*.safetensors", SearchOption.AllDirectories).Select(Path.GetFileName).ToArray();
        Assert.All(weights, name => Assert.Contains("rank-1", name, StringComparison.Ordinal));
        Assert.NotEmpty(weights);

        Assert.Equal(2, (await model.ReloadAsync()).Version);
    }

    private static string NameOf(int shard) => $"model-0000{shard + 1}-of-0000{Counts.Length}.safetensors";

    private static byte[] Shard(int shard, float value) =>
        new SafetensorsBuilder().Add($"layers.{shard}.a", "F32", [(ulong)Counts[shard]], [.. Enumerable.Repeat(BitConverter.GetBytes(value), Counts[shard]).SelectMany(bytes => bytes)]).ToBytes();

    private static long Length(int shard) => Shard(shard, 1).Length;

    private static async Task<ModelStatus> StatusAsync(IHostedModel model, Func<ModelStatus, bool> condition)
    {
        var giveUp = TimeProvider.System.GetTimestamp();
        while (true)
        {
            var status = model.Status;
            if (condition(status))
            {
                return status;
            }

            Assert.True(TimeProvider.System.GetElapsedTime(giveUp) < TimeSpan.FromSeconds(30), $"{status}");
            await Task.Delay(5);
        }
    }

    // The first shard is in the cache then, and the second is refused.
    private async Task<(IHostedModel Model, HubDoubleFile[] Shards)> FailBehindTheFirstShardAsync()
    {
        var shards = Add("acme/one");
        shards[1].Served.FailAlways(new RemoteFault { Until = _gate.Task, Status = 403 });
        var model = Make("one");
        var loading = model.LoadAsync();
        _ = await StatusAsync(model, now => now.Download is { Files: 1 });
        _gate.SetResult();
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => loading);
        return (model, shards);
    }

    private HubDoubleFile[] Add(string path)
    {
        var repository = _hub.Add(path);
        repository.SetRef("main", Commit);
        return [.. Enumerable.Range(0, Counts.Length).Select(shard => repository.Add(Commit, NameOf(shard), Shard(shard, 1), isLarge: true))];
    }

    private IHostedModel Make(params string[] names)
    {
        var remote = new RemoteOptions
        {
            Hub = new HubSettings { Endpoint = _hub.Hub.Address, CacheFolder = _bed.Folder["cache"] },
            MaximumRetries = 0,
            Progress = _told,
            AroundDownloads = _told.RunAsync,
        };
        _bed.Make(builder =>
        {
            builder.UseRemote(remote).Services.Configure<IlgpuLoaderOptions>(options => options.MaximumConcurrentLoads = names.Length);
            foreach (var name in names)
            {
                builder.AddModel(name, options => (options.Path, options.Device) = ($"hf://acme/{name}", "mine"));
            }

            builder.AddModel("rank", options =>
                (options.Path, options.Device, options.Layout, options.WorldSize, options.Rank) = ("hf://acme/one", "mine", HostedLayout.Sharded, 2, 1));
        });
        return _bed.Store[names[0]];
    }

    private sealed class RecordedDownloads : IProgress<DownloadProgress>
    {
        private readonly Lock _lock = new();
        private readonly List<DownloadProgress> _all = [];
        private int _begun;

        public IReadOnlyList<DownloadProgress> All
        {
            get
            {
                lock (_lock)
                {
                    return [.. _all];
                }
            }
        }

        public int Begun => Volatile.Read(ref _begun);

        public void Report(DownloadProgress value)
        {
            lock (_lock)
            {
                _all.Add(value);
            }
        }

        public Task RunAsync(Func<Task> download)
        {
            Interlocked.Increment(ref _begun);
            return download();
        }
    }
}
