using System.Collections.Immutable;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>One load or reload under way: what it is told of becomes the model's progress, its stages and its telemetry. Stages are begun and ended by one thread; progress comes from any.</summary>
/// <param name="activity">Where it is told.</param>
/// <param name="onChange">Called when there is something new; returns at once.</param>
/// <param name="time">What measures time.</param>
internal sealed class LoadRun(LoadActivity activity, Action<LoadRun> onChange, TimeProvider time) : IProgress<LoadProgress>
{
    private readonly Lock _lock = new();
    private readonly long _started = time.GetTimestamp();
    private readonly Throughput _throughput = new(time);
    private readonly List<LoadStage> _stages = [];
    private LoadProgress? _progress;
    private LoadStatistics? _statistics;
    private long _bytesRead;

    /// <summary>The tensors of the plan; default until that is made.</summary>
    public ImmutableArray<HostedTensor> Tensors { get; private set; }

    /// <summary>The device; null until it is opened.</summary>
    public Device? Device { get; private set; }

    /// <summary>The format of the files; null until they are opened.</summary>
    public string? Format { get; private set; }

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

    /// <summary>Begins a stage, which ends when what is returned is disposed.</summary>
    /// <param name="name">Its name.</param>
    public IDisposable Stage(string name) => new StageTimer(this, name, activity.Stage(name));

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

    private sealed class StageTimer(LoadRun run, string name, IDisposable inner) : IDisposable
    {
        private readonly long _started = run.TimeStamp;

        public void Dispose()
        {
            run._stages.Add(new LoadStage(name, run.Since(_started)));
            inner.Dispose();
        }
    }

    private long TimeStamp => time.GetTimestamp();

    private TimeSpan Since(long started) => time.GetElapsedTime(started);
}
