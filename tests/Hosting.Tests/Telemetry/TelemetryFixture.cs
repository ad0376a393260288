using System.Diagnostics;
using System.Diagnostics.Metrics;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>The telemetry of a container of its own, and all that it says.</summary>
internal sealed class TelemetryFixture : IDisposable
{
    private readonly ServiceProvider _services;
    private readonly ActivityListener _listener;
    private readonly Lock _lock = new();
    private readonly List<Activity> _activities = [];

    public TelemetryFixture()
    {
        var services = new ServiceCollection();
        _ = services.AddLogging(logging => logging.SetMinimumLevel(LogLevel.Trace).AddProvider(Logs)).AddSingleton<TimeProvider>(Time);
        _ = services.AddIlgpuLoader();
        _services = services.BuildServiceProvider();
        Metrics = new RecordedMetrics(_services.GetRequiredService<IMeterFactory>());
        Telemetry = _services.GetRequiredService<LoadTelemetry>();
        _listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == IlgpuLoaderTelemetry.ActivitySourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = activity =>
            {
                lock (_lock)
                {
                    _activities.Add(activity);
                }
            },
        };
        ActivitySource.AddActivityListener(_listener);
    }

    /// <summary>A name that no other test has: the activity source is the whole process's.</summary>
    public string Model { get; } = $"model-{Guid.NewGuid():n}";

    public ManualTime Time { get; } = new();

    public RecordedLogs Logs { get; } = new();

    public RecordedMetrics Metrics { get; }

    public LoadTelemetry Telemetry { get; }

    /// <summary>The activities of <see cref="Model"/> that have ended, in the order of their ends.</summary>
    public IReadOnlyList<Activity> Activities
    {
        get
        {
            lock (_lock)
            {
                return [.. _activities.Where(activity => Equals(activity.GetTagItem(IlgpuLoaderTelemetry.ModelTag), Model))];
            }
        }
    }

    public void Dispose()
    {
        _listener.Dispose();
        Metrics.Dispose();
        _services.Dispose();
    }
}
