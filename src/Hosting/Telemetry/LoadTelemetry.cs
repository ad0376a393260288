using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Reflection;
using IlgpuLoader.Gpu;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

/// <summary>
/// What a host says of itself: metrics, activities and logs, under the names of <see cref="IlgpuLoaderTelemetry"/>. One a container. Safe for any thread.
/// </summary>
internal sealed partial class LoadTelemetry
{
    private static readonly string? Version = typeof(LoadTelemetry).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion;

    // One a process, as those who listen expect; without a listener it makes nothing.
    private static readonly ActivitySource Source = new(IlgpuLoaderTelemetry.ActivitySourceName, Version);

    private readonly ILogger _logger;
    private readonly TimeProvider _time;
    private readonly LoadInstruments _instruments;
    private readonly ObservedStatus _observed;

    /// <summary>Makes the instruments.</summary>
    /// <param name="meters">Where the meter comes from, which owns it.</param>
    /// <param name="logger">Where logs go.</param>
    /// <param name="time">What measures a load that fails; one that completes says its time itself.</param>
    public LoadTelemetry(IMeterFactory meters, ILogger<LoadTelemetry> logger, TimeProvider time)
    {
        (_logger, _time) = (logger, time);
        var meter = meters.Create(new MeterOptions(IlgpuLoaderTelemetry.MeterName) { Version = Version });
        _instruments = new LoadInstruments(meter);
        _observed = new ObservedStatus(meter);
    }

    /// <summary>Begins the activity of a load or reload, and counts it until what is returned is disposed.</summary>
    /// <param name="model">The configured name.</param>
    /// <param name="isReload">Whether the model was there before.</param>
    public LoadActivity StartLoad(string model, bool isReload)
    {
        var kind = KindOf(isReload);
        var activity = Source.StartActivity(kind);
        LoadStarted(model, kind);
        return new LoadActivity(this, _instruments, Source, activity, model, kind, _time);
    }

    /// <summary>Says that a model was freed.</summary>
    /// <param name="model">The configured name.</param>
    /// <param name="freedBytes">What its device has back, in bytes.</param>
    public void ModelUnloaded(string model, long freedBytes)
    {
        if (_instruments.BytesFreed.Enabled)
        {
            _instruments.BytesFreed.Add(freedBytes, new KeyValuePair<string, object?>(IlgpuLoaderTelemetry.ModelTag, model));
        }

        Unloaded(model, freedBytes);
    }

    /// <summary>Measures how long somebody waited for a lease.</summary>
    /// <param name="model">The configured name.</param>
    /// <param name="waited">From the call to the lease.</param>
    public void LeaseWaited(string model, TimeSpan waited)
    {
        if (_instruments.LeaseWait.Enabled)
        {
            _instruments.LeaseWait.Record(waited.TotalSeconds, new KeyValuePair<string, object?>(IlgpuLoaderTelemetry.ModelTag, model));
        }
    }

    /// <summary>Says what is looked at when somebody collects metrics; called from any thread, as long as the container lives.</summary>
    /// <param name="statuses">Gives the status of every model.</param>
    /// <param name="devices">Gives the devices that are opened; the members of a group count for themselves.</param>
    public void Observe(Func<IReadOnlyList<ModelStatus>> statuses, Func<IReadOnlyList<Device>> devices) => _observed.Observe(statuses, devices);

    /// <summary>The name of the activity, the value of <see cref="IlgpuLoaderTelemetry.LoadKindTag"/>, and what logs say.</summary>
    public static string KindOf(bool isReload) => isReload ? IlgpuLoaderTelemetry.ReloadActivityName : IlgpuLoaderTelemetry.LoadActivityName;
}
