using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Hosting;

/// <summary>A configured model: what is in memory of it, and what is being done with it. What is done lies beside, in <c>HostedModel.Operations</c>.</summary>
[SuppressMessage("Design", "CA1001:Types that own disposable fields should be disposable", Justification = "A container would dispose what it hands out as a keyed service: the store ends it (EndAsync). Semaphores and sources have no handles that were asked for.")]
internal sealed partial class HostedModel : IHostedModel
{
    private readonly HostedModelSettings _settings;
    private readonly ResidentLoader _loader;
    private readonly StatusFeed _feed;
    private readonly LoadTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();

    // Everything below is changed under the lock.
    private ModelStatus _status;
    private ResidentModel? _resident;
    private LoadRun? _run;
    private ImmutableArray<HostedTensor> _tensors = [];
    private ImmutableArray<DTypeTotal> _totals = [];
    private TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Exception? _failure;
    // The device that it was last on, or went to: what its readers hold shows there, also when the model is unloaded.
    private Device? _lastDevice;
    // Whether the host loads it as it starts, and has not done with that: it tries again, or has not begun.
    private bool _isStarting;
    // Whether the old tensors are gone and the new ones not there yet.
    private bool _isReplacing;
    private DateTimeOffset? _nextAttemptAt;
    private bool _isEnded;
    private long _sequence;

    /// <summary>Makes a model that is not loaded.</summary>
    /// <param name="settings">What it is.</param>
    /// <param name="loader">Brings it into memory.</param>
    /// <param name="turns">Lets as many loads run as are allowed at a time.</param>
    /// <param name="feed">Is told of changes.</param>
    /// <param name="telemetry">Is told of loads.</param>
    /// <param name="time">What measures time.</param>
    public HostedModel(HostedModelSettings settings, ResidentLoader loader, SemaphoreSlim turns, StatusFeed feed, LoadTelemetry telemetry, TimeProvider time)
    {
        (_settings, _loader, _turns, _feed, _telemetry, _time) = (settings, loader, turns, feed, telemetry, time);
        _isStarting = settings.Options.LoadOnStart;
        _status = new ModelStatus
        {
            Name = settings.Name,
            State = ModelState.Unloaded,
            Since = time.GetUtcNow(),
            IsRequired = settings.IsRequired,
            Path = settings.Options.Path is { } path ? AddressScheme.WithoutSecrets(path) : null,
            Layout = settings.Options.Layout,
            Device = settings.Options.Device,
        };
    }

    /// <inheritdoc/>
    public string Name => _settings.Name;

    /// <summary>What it is.</summary>
    public HostedModelSettings Settings => _settings;

    /// <summary>The number of its last change.</summary>
    public long Sequence => Volatile.Read(ref _sequence);

    /// <summary>The device that its tensors are on, go to, or were on last; null where they never were on any.</summary>
    public Device? Device
    {
        get
        {
            lock (_lock)
            {
                return _lastDevice;
            }
        }
    }

    /// <inheritdoc/>
    public ModelStatus Status
    {
        get
        {
            lock (_lock)
            {
                return _status with
                {
                    IsAvailable = _resident is not null,
                    Device = _resident?.Device.Id ?? _run?.Device?.Id ?? _status.Device,
                    Format = _resident?.Format ?? _run?.Format ?? _status.Format,
                    Failure = _status.Failure is { IsReload: false } failed && _nextAttemptAt is { } next ? failed with { NextAttemptAt = next } : _status.Failure,
                    Download = _run?.Download,
                    Progress = _run?.Progress,
                    BytesPerSecond = _run?.BytesPerSecond ?? 0,
                    TensorCount = _tensors.Length,
                    DTypes = _totals,
                    MemoryBytes = _resident?.MemoryBytes ?? 0,
                };
            }
        }
    }

    /// <inheritdoc/>
    public ImmutableArray<HostedTensor> Tensors
    {
        get
        {
            lock (_lock)
            {
                return _tensors;
            }
        }
    }

    /// <inheritdoc/>
    public ValueTask<IModelLease> LeaseAsync(CancellationToken cancellationToken = default) => LeaseAnyAsync(null, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IModelLease> LeaseLayerAsync(string layer, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return LeaseAnyAsync(layer, cancellationToken);
    }

    /// <inheritdoc/>
    public bool TryLease([NotNullWhen(true)] out IModelLease? lease)
    {
        ResidentModel? resident;
        lock (_lock)
        {
            resident = _resident;
        }

        lease = resident?.TryLease();
        return lease is not null;
    }

    private async ValueTask<IModelLease> LeaseAnyAsync(string? layer, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        while (true)
        {
            // Where the one that was there is being freed, the change that takes it away has come, or another has its place.
            if (!TryBegin(out var resident, out var changed))
            {
                await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            else if (await resident.LeaseAsync(layer, cancellationToken).ConfigureAwait(false) is { } lease)
            {
                _telemetry.LeaseWaited(Name, _time.GetElapsedTime(started));
                return lease;
            }
        }
    }

    // The resident model, or what to wait for.
    private bool TryBegin([NotNullWhen(true)] out ResidentModel? resident, out Task changed)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isEnded, this);
            (resident, changed) = (_resident, _changed.Task);
            // Somebody loads it, or is going to: then it is worth waiting for.
            return resident is not null || _isStarting || _isReplacing || _load is not null ? resident is not null : throw NotAvailable();
        }
    }

    private ModelNotAvailableException NotAvailable() =>
        _failure is { } failure
            ? new ModelNotAvailableException(Name, $"The model {Quoted.Plain(Name)} is not loaded: {failure.Message}", failure)
            : new ModelNotAvailableException(Name, $"The model {Quoted.Plain(Name)} is not loaded, and nobody loads it.");

    // Under the lock: what is there, and what its tensors are.
    private void SetResident(ResidentModel? resident)
    {
        _resident = resident;
        _lastDevice = resident?.Device ?? _lastDevice;
        SetTensors(resident?.Tensors ?? []);
    }

    private void SetTensors(ImmutableArray<HostedTensor> tensors)
    {
        if (tensors == _tensors)
        {
            return;
        }

        _tensors = tensors;
        _totals =
        [
            .. tensors.GroupBy(tensor => tensor.DType)
                .Select(group => new DTypeTotal(group.Key.Name, group.Count(), group.Sum(tensor => tensor.Bytes)))
                .OrderByDescending(total => total.Bytes)
                .ThenBy(total => total.DType, StringComparer.Ordinal),
        ];
    }

    // Called behind every change, outside the lock.
    private void Announce()
    {
        TaskCompletionSource changed;
        lock (_lock)
        {
            (changed, _changed) = (_changed, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously));
        }

        changed.TrySetResult();
        AnnounceProgress();
    }

    // The model's own number first: whoever is woken by the feed finds it.
    private void AnnounceProgress()
    {
        Interlocked.Increment(ref _sequence);
        _feed.Announce();
    }

    private void Change(Action change)
    {
        lock (_lock)
        {
            change();
        }

        Announce();
    }

    private void Enter(ModelState state) => _status = _status with { State = state, Since = _time.GetUtcNow() };
}
