using System.Collections.Immutable;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>
/// One load or reload under way: what it is told of becomes the model's progress, its stages and its telemetry. Stages are begun and ended one behind the other or one within the other; progress comes from
/// any thread.
/// </summary>
/// <param name="activity">Where it is told.</param>
/// <param name="onChange">Called when there is something new; returns at once.</param>
/// <param name="time">What measures time.</param>
internal sealed class LoadRun(LoadActivity activity, Action<LoadRun> onChange, TimeProvider time) : IProgress<LoadProgress>, IDownloadFollower
{
    // As often as people look.
    private static readonly TimeSpan StallLook = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly long _started = time.GetTimestamp();
    private readonly Throughput _throughput = new(time);
    private readonly List<LoadStage> _stages = [];
    private LoadProgress? _progress;
    private LoadStatistics? _statistics;
    private long _bytesRead;
    // What stages have taken within the one that runs.
    private TimeSpan _within;
    private DownloadProgress? _download;
    private Throughput? _downloading;

    /// <summary>The tensors of the plan; default until that is made.</summary>
    public ImmutableArray<HostedTensor> Tensors { get; private set; }

    /// <summary>The device; null until it is opened.</summary>
    public Device? Device { get; private set; }

    /// <summary>The format of the files; null until they are opened.</summary>
    public string? Format { get; private set; }

    /// <summary>How far the download is that it waits for; null while there is none.</summary>
    public ModelDownload? Download
    {
        get
        {
            lock (_lock)
            {
                return _download is { } now ? new ModelDownload(now.Files, now.TotalFiles, now.Bytes, now.TotalBytes, _downloading?.BytesPerSecond ?? 0) : null;
            }
        }
    }

    /// <summary>How far it is; null until it is planned.</summary>
    public LoadProgress? Progress
    {
        get
        {
            lock (_lock)
            {
                return _progress;
            }
        }
    }

    /// <summary>Bytes a second that were read lately.</summary>
    public double BytesPerSecond
    {
        get
        {
            lock (_lock)
            {
                return _throughput.BytesPerSecond;
            }
        }
    }

    /// <summary>Begins a stage, which ends when what is returned is disposed. The time of one within another is its own; what one name takes in several goes adds up.</summary>
    /// <param name="name">Its name.</param>
    public IDisposable Stage(string name) => new StageTimer(this, name, activity.Stage(name));

    /// <inheritdoc/>
    public IDisposable BeginDownload()
    {
        lock (_lock)
        {
            (_download, _downloading) = (null, new Throughput(time));
        }

        // One that stalls reports nothing: that its speed falls is seen all the same.
        return new DownloadEnd(this, Stage(LoadStage.Download), time.CreateTimer(_ => onChange(this), null, StallLook, StallLook));
    }

    /// <inheritdoc/>
    public void Report(DownloadProgress value)
    {
        long more;
        lock (_lock)
        {
            // What is there without a download is told too.
            if (_downloading is null)
            {
                return;
            }

            more = value.FetchedBytes - (_download?.FetchedBytes ?? 0);
            _download = value;
            _downloading.Add(value.FetchedBytes);
        }

        if (more > 0)
        {
            activity.BytesDownloaded(more);
        }

        onChange(this);
    }

    /// <summary>Says what is going to be loaded.</summary>
    public void Planned(ImmutableArray<HostedTensor> tensors, Device device, string format, long bytesToRead)
    {
        (Tensors, Device, Format) = (tensors, device, format);
        activity.Planned(bytesToRead, tensors.Length);
        Report(new LoadProgress(0, bytesToRead, 0, tensors.Length));
    }

    /// <inheritdoc/>
    public void Report(LoadProgress value)
    {
        long more;
        lock (_lock)
        {
            more = value.BytesRead - (_progress?.BytesRead ?? 0);
            _progress = value;
            _throughput.Add(value.BytesRead);
        }

        if (more > 0)
        {
            activity.BytesRead(more);
        }

        onChange(this);
    }

    /// <summary>Says what a load has read, and where its lanes spent their time.</summary>
    public void Read(LoadStatistics statistics) => (_statistics, _bytesRead) = (statistics, statistics.BytesRead);

    /// <summary>Says what a load has read whose lanes do not tell where they spent their time.</summary>
    public void Read(long bytes) => _bytesRead = bytes;

    /// <summary>The load when it has come to its end.</summary>
    /// <param name="isReload">Whether the model was there before.</param>
    /// <param name="oldLayers">How many layers kept their old weights.</param>
    public CompletedLoad Complete(bool isReload, int oldLayers) =>
        new(isReload, time.GetElapsedTime(_started), _bytesRead, [.. _stages.SelectMany(Parts)]) { OldLayers = oldLayers };

    private IEnumerable<LoadStage> Parts(LoadStage stage)
    {
        if (stage.Name != LoadStage.Load || _statistics is not { } load)
        {
            return [stage];
        }

        // Lanes work side by side: the mean is the share of the time that passed.
        ReadOnlySpan<LoadStage> parts =
        [
            new(LoadStage.Touch, load.FirstTouch / load.Lanes),
            new(LoadStage.Read, load.Reading / load.Lanes),
            new(LoadStage.Hash, load.Hashing / load.Lanes),
            new(LoadStage.Upload, (load.Placing - load.Decoding) / load.Lanes),
            new(LoadStage.Decode, load.Decoding / load.Lanes),
        ];
        return parts.ToArray().Where(part => part.Elapsed > TimeSpan.Zero);
    }

    private void EndDownload()
    {
        lock (_lock)
        {
            (_download, _downloading) = (null, null);
        }

        onChange(this);
    }

    private TimeSpan TakeWithin()
    {
        var before = _within;
        _within = TimeSpan.Zero;
        return before;
    }

    private void AddStage(string name, TimeSpan elapsed)
    {
        var known = _stages.FindIndex(stage => stage.Name == name);
        if (known < 0)
        {
            _stages.Add(new LoadStage(name, elapsed));
        }
        else
        {
            _stages[known] = new LoadStage(name, _stages[known].Elapsed + elapsed);
        }
    }

    private sealed class StageTimer(LoadRun run, string name, IDisposable activity) : IDisposable
    {
        private readonly long _started = run.TimeStamp;
        private readonly TimeSpan _before = run.TakeWithin();

        public void Dispose()
        {
            var elapsed = run.Since(_started);
            run.AddStage(name, elapsed - run._within);
            run._within = _before + elapsed;
            activity.Dispose();
        }
    }

    private sealed class DownloadEnd(LoadRun run, IDisposable stage, ITimer looks) : IDisposable
    {
        public void Dispose()
        {
            looks.Dispose();
            stage.Dispose();
            run.EndDownload();
        }
    }

    private long TimeStamp => time.GetTimestamp();

    private TimeSpan Since(long started) => time.GetElapsedTime(started);
}
