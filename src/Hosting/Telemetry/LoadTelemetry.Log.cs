using IlgpuLoader.Gpu;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting;

// Ids 5000 to 5099 are the service's; the highest is 5022. Paths and models' names may be logged at any level. Names of tensors come from files and are many: at Information and above they
// are only where the text of an error has one, at Error. Nothing here has a token or another secret.
internal sealed partial class LoadTelemetry
{
    /// <summary>A load or reload waits for its turn.</summary>
    [LoggerMessage(EventId = 5000, EventName = nameof(LoadQueued), Level = LogLevel.Debug, Message = "{Model} waits for its turn to be loaded")]
    public partial void LoadQueued(string model);

    /// <summary>A load that failed is tried again later.</summary>
    [LoggerMessage(EventId = 5001, EventName = nameof(LoadRetried), Level = LogLevel.Warning, Message = "{Model}: the load is tried again in {Delay}, for the {Attempt}. time")]
    public partial void LoadRetried(string model, TimeSpan delay, int attempt);

    /// <summary>A model stays failed.</summary>
    [LoggerMessage(EventId = 5002, EventName = nameof(LoadGivenUp), Level = LogLevel.Error, Message = "{Model}: the load has failed {Attempts} times, and is not tried again until it is asked for")]
    public partial void LoadGivenUp(string model, int attempts);

    /// <summary>The host goes on without a model.</summary>
    [LoggerMessage(EventId = 5003, EventName = nameof(HostDegraded), Level = LogLevel.Warning, Message = "{Model}: the host goes on without it; it can be loaded by a call")]
    public partial void HostDegraded(string model);

    /// <summary>The host stops, since a model cannot be loaded.</summary>
    [LoggerMessage(EventId = 5004, EventName = nameof(HostStops), Level = LogLevel.Critical, Message = "{Model}: the host stops, since it cannot be loaded ({Code})")]
    public partial void HostStops(string model, string code);

    /// <summary>A watched folder has changed.</summary>
    [LoggerMessage(EventId = 5005, EventName = nameof(ChangeSeen), Level = LogLevel.Information, Message = "{Model}: another complete checkpoint is at {Path}")]
    public partial void ChangeSeen(string model, string path);

    /// <summary>Watching began.</summary>
    [LoggerMessage(EventId = 5007, EventName = nameof(WatchStarted), Level = LogLevel.Debug, Message = "{Model}: {Path} is looked at every {Interval}")]
    public partial void WatchStarted(string model, string path, TimeSpan interval);

    /// <summary>The service began.</summary>
    [LoggerMessage(EventId = 5008, EventName = nameof(ServiceStarted), Level = LogLevel.Information, Message = "Models that are configured: {Models}; that are loaded now: {LoadedOnStart}")]
    public partial void ServiceStarted(int models, int loadedOnStart);

    /// <summary>The service was asked to stop.</summary>
    [LoggerMessage(EventId = 5009, EventName = nameof(ServiceStopping), Level = LogLevel.Information, Message = "Stopping: {Running} loads are ended, and {Models} models freed")]
    public partial void ServiceStopping(int running, int models);

    /// <summary>The service has stopped.</summary>
    [LoggerMessage(EventId = 5010, EventName = nameof(ServiceStopped), Level = LogLevel.Information, Message = "Stopped after {Elapsed}; devices still have {LiveBytes} bytes")]
    public partial void ServiceStopped(TimeSpan elapsed, long liveBytes);

    /// <summary>A model is freed although leases are not over.</summary>
    [LoggerMessage(EventId = 5011, EventName = nameof(LeasesOutstanding), Level = LogLevel.Warning, Message = "{Model}: leases are not over after {Waited}; its memory is freed with the last of them")]
    public partial void LeasesOutstanding(string model, TimeSpan waited);

    /// <summary>A reader's fence, or a driver, has failed while a model was freed.</summary>
    [LoggerMessage(EventId = 5022, EventName = nameof(FreeingFailed), Level = LogLevel.Warning, Message = "{Model} was freed, and something has failed meanwhile")]
    public partial void FreeingFailed(string model, Exception exception);

    /// <summary>Says which device a model gets, and what was passed over for it.</summary>
    /// <param name="model">The configured name.</param>
    /// <param name="device">The device that was opened.</param>
    /// <param name="problems">One sentence for each device or driver that <c>auto</c> has passed over; mostly none.</param>
    public void DeviceChosen(string model, Device device, IReadOnlyList<string> problems)
    {
        DeviceOpened(model, device.Id, device.Name);
        foreach (var problem in problems)
        {
            DevicePassedOver(model, problem);
        }
    }

    [LoggerMessage(EventId = 5012, EventName = nameof(DeviceOpened), Level = LogLevel.Information, Message = "{Model} goes to {Device} ({DeviceName})")]
    private partial void DeviceOpened(string model, string device, string deviceName);

    [LoggerMessage(EventId = 5013, EventName = nameof(DevicePassedOver), Level = LogLevel.Warning, Message = "{Model}: {Problem}")]
    private partial void DevicePassedOver(string model, string problem);

    [LoggerMessage(EventId = 5014, EventName = nameof(LoadStarted), Level = LogLevel.Information, Message = "{Model}: the {Kind} begins")]
    private partial void LoadStarted(string model, string kind);

    [LoggerMessage(EventId = 5015, EventName = nameof(LoadPlanned), Level = LogLevel.Debug, Message = "{Model}: the {Kind} reads {Bytes} bytes for {Tensors} tensors")]
    internal partial void LoadPlanned(string model, string kind, long bytes, int tensors);

    [LoggerMessage(
        EventId = 5016,
        EventName = nameof(LoadCompleted),
        Level = LogLevel.Information,
        Message = "{Model}: the {Kind} has read {Bytes} bytes of {Format} in {Seconds:0.000} s ({MegabytesPerSecond:0} MB/s) to {Device}")]
    internal partial void LoadCompleted(string model, string kind, long bytes, string format, double seconds, double megabytesPerSecond, string device);

    [LoggerMessage(
        EventId = 5017,
        EventName = nameof(ReloadIncomplete),
        Level = LogLevel.Warning,
        Message = "{Model}: the reload has left {OldLayers} layers their old weights, since they were leased for too long or did not fit; another reload replaces them")]
    internal partial void ReloadIncomplete(string model, int oldLayers);

    [LoggerMessage(EventId = 5018, EventName = nameof(LoadFailed), Level = LogLevel.Error, Message = "{Model}: the {Kind} has failed ({Code}, try {Attempt}): {Error}")]
    internal partial void LoadFailed(Exception? exception, string model, string kind, string code, int attempt, string error);

    [LoggerMessage(EventId = 5019, EventName = nameof(LoadFailureDetails), Level = LogLevel.Debug, Message = "{Model}: what the {Kind} has failed with")]
    internal partial void LoadFailureDetails(Exception exception, string model, string kind);

    [LoggerMessage(EventId = 5020, EventName = nameof(LoadCanceled), Level = LogLevel.Information, Message = "{Model}: the {Kind} was ended early, after {Seconds:0.000} s")]
    internal partial void LoadCanceled(string model, string kind, double seconds);

    [LoggerMessage(EventId = 5021, EventName = nameof(Unloaded), Level = LogLevel.Information, Message = "{Model} was unloaded, which freed {Bytes} bytes")]
    private partial void Unloaded(string model, long bytes);
}
