using System.Diagnostics;
using IlgpuLoader.Gpu;
using static IlgpuLoader.Hosting.IlgpuLoaderTelemetry;

namespace IlgpuLoader.Hosting;

/// <summary>
/// One load or reload as metrics, activities and logs see it. It ends once: by <see cref="Completed"/>, <see cref="Failed"/> or <see cref="Canceled"/>, or by disposing it, which is a cancellation
/// where nothing was said before. Bytes and stages may come from any thread; the ends are one caller's.
/// </summary>
internal sealed class LoadActivity : IDisposable
{
    // The code of what is a fault of ours rather than of a file or a device (ModelFailure.Code).
    private const string Unexpected = "Unexpected";

    private readonly LoadTelemetry _telemetry;
    private readonly LoadInstruments _instruments;
    private readonly ActivitySource _source;
    private readonly Activity? _activity;
    private readonly TimeProvider _time;
    private readonly string _model;
    private readonly string _kind;
    private readonly long _started;
    private int _tensors;
    private int _isOver;

    /// <summary>Begins; <see cref="LoadTelemetry.StartLoad"/> is who makes it.</summary>
    internal LoadActivity(LoadTelemetry telemetry, LoadInstruments instruments, ActivitySource source, Activity? activity, string model, string kind, TimeProvider time)
    {
        (_telemetry, _instruments, _source, _activity, _model, _kind, _time) = (telemetry, instruments, source, activity, model, kind, time);
        _started = time.GetTimestamp();
        _ = _activity?.SetTag(ModelTag, model).SetTag(LoadKindTag, _kind);
        // Up and down whether somebody listens or not: one who begins to listen in between would see it go down alone.
        _instruments.LoadsActive.Add(1, Tags());
    }

    /// <summary>Begins the activity of a stage, below the load's.</summary>
    /// <param name="name">The stage's name (<see cref="LoadStage.Name"/>).</param>
    /// <returns>Ends the stage when it is disposed.</returns>
    public IDisposable Stage(string name) =>
        (_activity is null ? null : _source.StartActivity(name, ActivityKind.Internal, _activity.Context, [new(ModelTag, _model), new(StageTag, name)])) ?? (IDisposable)NoStage.Instance;

    /// <summary>Says what the load will do.</summary>
    /// <param name="bytes">Bytes to read.</param>
    /// <param name="tensors">Tensors to load.</param>
    public void Planned(long bytes, int tensors)
    {
        _tensors = tensors;
        _telemetry.LoadPlanned(_model, _kind, bytes, tensors);
    }

    /// <summary>Counts bytes that were read since the last call.</summary>
    /// <param name="more">How many more.</param>
    public void BytesRead(long more)
    {
        if (_instruments.BytesRead.Enabled && more != 0)
        {
            _instruments.BytesRead.Add(more, Tags());
        }
    }

    /// <summary>Counts bytes that were downloaded since the last call.</summary>
    /// <param name="more">How many more.</param>
    public void BytesDownloaded(long more)
    {
        if (_instruments.BytesDownloaded.Enabled && more != 0)
        {
            _instruments.BytesDownloaded.Add(more, Tags());
        }
    }

    /// <summary>Ends the load well.</summary>
    /// <param name="load">What it took.</param>
    /// <param name="format">The format of the checkpoint's files.</param>
    /// <param name="device">Where the tensors are.</param>
    public void Completed(CompletedLoad load, string format, Device device)
    {
        if (!TryEnd())
        {
            return;
        }

        var tags = Tags();
        tags.Add(FormatTag, format);
        tags.Add(DeviceKindTag, ObservedStatus.NameOf(device.Kind));
        _instruments.LoadDuration.Record(load.Elapsed.TotalSeconds, tags);
        _instruments.TensorsLoaded.Add(_tensors, tags);
        if (_instruments.StageDuration.Enabled)
        {
            foreach (var stage in load.Stages)
            {
                _instruments.StageDuration.Record(stage.Elapsed.TotalSeconds, new(ModelTag, _model), new(LoadKindTag, _kind), new(StageTag, stage.Name));
            }
        }

        _ = _activity?.SetTag(FormatTag, format).SetTag(DeviceKindTag, ObservedStatus.NameOf(device.Kind)).SetTag(DeviceIdTag, device.Id).SetStatus(ActivityStatusCode.Ok);
        _activity?.Dispose();
        _telemetry.LoadCompleted(_model, _kind, load.BytesRead, format, (load.Elapsed - load.DownloadTime).TotalSeconds, load.BytesPerSecond / 1e6, device.Id);
        if (load.OldLayers > 0)
        {
            _telemetry.ReloadIncomplete(_model, load.OldLayers);
        }
    }

    /// <summary>Ends the load with a failure.</summary>
    /// <param name="failure">What the model's status says of it.</param>
    /// <param name="exception">What was thrown; logged whole at Debug, and at Error what the failure says of it; whole there too where it is unexpected.</param>
    public void Failed(ModelFailure failure, Exception exception)
    {
        if (!TryEnd())
        {
            return;
        }

        var tags = Tags();
        tags.Add(ErrorTypeTag, failure.Code);
        _instruments.LoadDuration.Record(_time.GetElapsedTime(_started).TotalSeconds, tags);
        _instruments.LoadsFailed.Add(1, tags);
        _ = _activity?.SetTag(ErrorTypeTag, failure.Code).SetStatus(ActivityStatusCode.Error, failure.Message);
        _activity?.Dispose();
        // What nobody foresaw is of no use without its stack.
        var isForeseen = failure.Code != Unexpected;
        _telemetry.LoadFailed(isForeseen ? null : exception, _model, _kind, failure.Code, failure.Attempt, failure.Message);
        if (isForeseen)
        {
            _telemetry.LoadFailureDetails(exception, _model, _kind);
        }
    }

    /// <summary>Ends the load early, as somebody asked for: neither a success nor a failure, and no duration.</summary>
    public void Canceled()
    {
        if (!TryEnd())
        {
            return;
        }

        _ = _activity?.AddEvent(new ActivityEvent("canceled"));
        _activity?.Dispose();
        var seconds = _time.GetElapsedTime(_started).TotalSeconds;
        _telemetry.LoadCanceled(_model, _kind, seconds);
    }

    /// <inheritdoc/>
    public void Dispose() => Canceled();

    private bool TryEnd()
    {
        if (Interlocked.Exchange(ref _isOver, 1) != 0)
        {
            return false;
        }

        _instruments.LoadsActive.Add(-1, Tags());
        return true;
    }

    private TagList Tags() => new() { { ModelTag, _model }, { LoadKindTag, _kind } };

    private sealed class NoStage : IDisposable
    {
        public static readonly NoStage Instance = new();

        public void Dispose()
        {
        }
    }
}
