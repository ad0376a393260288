using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace IlgpuLoader.Hosting;

/// <summary>The models of a host, made of its options when it starts.</summary>
internal sealed class ModelStore : IModelStore, IAsyncDisposable, IDisposable
{
    private readonly FrozenDictionary<string, HostedModel> _byName;
    private readonly StatusFeed _feed = new();
    private readonly SemaphoreSlim _turns;
    private readonly TimeProvider _time;

    /// <summary>Makes the models; nothing is loaded or opened.</summary>
    /// <param name="options">What is configured.</param>
    /// <param name="addresses">What finds models that are no local files.</param>
    /// <param name="devices">The devices that the host was given, under their names.</param>
    /// <param name="telemetry">Is told of loads.</param>
    /// <param name="loggers">Where warnings of loads go.</param>
    /// <param name="time">What measures time.</param>
    public ModelStore(
        IOptions<IlgpuLoaderOptions> options, HostedAddresses addresses, NamedDevices devices, LoadTelemetry telemetry, ILoggerFactory loggers, TimeProvider time)
    {
        var given = options.Value;
        (_time, _turns) = (time, new SemaphoreSlim(given.MaximumConcurrentLoads));
        Warnings = loggers.CreateLogger("IlgpuLoader.Loading");
        Hosted =
        [
            .. given.Models.OrderBy(entry => entry.Key, StringComparer.OrdinalIgnoreCase)
                .Select(entry => new HostedModelSettings(entry.Key, entry.Value, addresses.For(entry.Value)))
                .Select(settings => new HostedModel(
                    settings,
                    ResidentLoader.Of(settings, () => OpenDevice(devices, telemetry, settings), new WarningLog(Warnings), time),
                    _turns,
                    _feed,
                    telemetry,
                    time)),
        ];
        _byName = Hosted.ToFrozenDictionary(model => model.Name, StringComparer.OrdinalIgnoreCase);
        telemetry.Observe(() => [.. Hosted.Select(model => model.Status)], () => Devices);
    }

    /// <summary>The models with all that the service does with them.</summary>
    public IReadOnlyList<HostedModel> Hosted { get; }

    /// <summary>Where warnings of loads go.</summary>
    public ILogger Warnings { get; }

    /// <inheritdoc/>
    public IReadOnlyList<IHostedModel> Models => Hosted;

    /// <inheritdoc/>
    public IReadOnlyList<Device> Devices =>
        [.. Hosted.Select(model => model.Device).OfType<Device>().SelectMany(device => device is DeviceGroup group ? group.Members : [device]).Distinct().OrderBy(device => device.Id, StringComparer.Ordinal)];

    /// <inheritdoc/>
    public IHostedModel this[string name] => TryGetModel(name, out var model) ? model : throw new ModelNotConfiguredException(name, Hosted.Select(known => known.Name));

    /// <inheritdoc/>
    public bool TryGetModel(string name, [NotNullWhen(true)] out IHostedModel? model)
    {
        ArgumentNullException.ThrowIfNull(name);
        var found = _byName.TryGetValue(name, out var hosted);
        model = hosted;
        return found;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ModelStatus> WatchAsync(TimeSpan interval, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(interval, TimeSpan.Zero);
        var seen = new long[Hosted.Count];
        Array.Fill(seen, -1);
        while (true)
        {
            // Before the models are looked at: what changes from here on is looked at again.
            var sequence = _feed.Sequence;
            for (var i = 0; i < Hosted.Count; i++)
            {
                var current = Hosted[i].Sequence;
                if (current != seen[i])
                {
                    seen[i] = current;
                    yield return Hosted[i].Status;
                }
            }

            if (!await _feed.WaitAsync(sequence, cancellationToken).ConfigureAwait(false))
            {
                yield break;
            }

            if (interval > TimeSpan.Zero)
            {
                await Task.Delay(interval, _time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Ends what is under way, at once, and lets nothing begin.</summary>
    public void BeginEnd()
    {
        foreach (var model in Hosted)
        {
            model.BeginEnd();
        }

        _feed.End();
    }

    /// <summary>Ends what is under way and frees all models; their readers are waited for a moment only. Safe to call again.</summary>
    public async ValueTask DisposeAsync()
    {
        BeginEnd();
        await Task.WhenAll(Hosted.Select(model => model.EndAsync())).ConfigureAwait(false);
    }

    /// <summary>As <see cref="DisposeAsync"/>, for containers that are disposed synchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    private static Device OpenDevice(NamedDevices devices, LoadTelemetry telemetry, HostedModelSettings settings)
    {
        if (devices.TryGet(settings.Options.Device, out var given))
        {
            return given;
        }

        var device = DeviceCatalog.Open(settings.Options.Device, out var problems);
        telemetry.DeviceChosen(settings.Name, device, problems);
        return device;
    }
}
