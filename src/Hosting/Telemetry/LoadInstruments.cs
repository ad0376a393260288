using System.Diagnostics.Metrics;
using static IlgpuLoader.Hosting.IlgpuLoaderTelemetry;

namespace IlgpuLoader.Hosting;

/// <summary>What is counted and measured when something happens. Safe for any thread.</summary>
/// <param name="meter">The meter, which stays its factory's.</param>
internal sealed class LoadInstruments(Meter meter)
{
    // From a small checkpoint in the page cache, which is there within 10 ms, to a model of a terabyte that is downloaded first: about three buckets a power of ten.
    private static readonly InstrumentAdvice<double> Durations = new()
    {
        HistogramBucketBoundaries = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600],
    };

    // Most leases wait for nothing; one that waits for a load waits as long as that.
    private static readonly InstrumentAdvice<double> Waits = new()
    {
        HistogramBucketBoundaries = [0.0001, 0.001, 0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600],
    };

    /// <summary><see cref="IlgpuLoaderTelemetry.LoadDuration"/>.</summary>
    public Histogram<double> LoadDuration { get; } = meter.CreateHistogram(
        IlgpuLoaderTelemetry.LoadDuration, SecondsUnit, "The time that loads and reloads took which came to their end or failed.", advice: Durations);

    /// <summary><see cref="IlgpuLoaderTelemetry.LoadStageDuration"/>.</summary>
    public Histogram<double> StageDuration { get; } = meter.CreateHistogram(
        LoadStageDuration, SecondsUnit, "The time that each stage of a completed load or reload took.", advice: Durations);

    /// <summary><see cref="IlgpuLoaderTelemetry.BytesRead"/>.</summary>
    public Counter<long> BytesRead { get; } = meter.CreateCounter<long>(IlgpuLoaderTelemetry.BytesRead, BytesUnit, "Bytes read from files.");

    /// <summary><see cref="IlgpuLoaderTelemetry.BytesDownloaded"/>.</summary>
    public Counter<long> BytesDownloaded { get; } = meter.CreateCounter<long>(
        IlgpuLoaderTelemetry.BytesDownloaded, BytesUnit, "Bytes that loads and reloads downloaded, because they were not in the cache.");

    /// <summary><see cref="IlgpuLoaderTelemetry.BytesFreed"/>.</summary>
    public Counter<long> BytesFreed { get; } = meter.CreateCounter<long>(
        IlgpuLoaderTelemetry.BytesFreed, BytesUnit, "Bytes of device memory that unloads gave back.");

    /// <summary><see cref="IlgpuLoaderTelemetry.TensorsLoaded"/>.</summary>
    public Counter<long> TensorsLoaded { get; } = meter.CreateCounter<long>(
        IlgpuLoaderTelemetry.TensorsLoaded, TensorsUnit, "Tensors of loads and reloads that came to their end.");

    /// <summary><see cref="IlgpuLoaderTelemetry.LoadsActive"/>.</summary>
    public UpDownCounter<long> LoadsActive { get; } = meter.CreateUpDownCounter<long>(
        IlgpuLoaderTelemetry.LoadsActive, LoadsUnit, "Loads and reloads that run now.");

    /// <summary><see cref="IlgpuLoaderTelemetry.LoadsFailed"/>.</summary>
    public Counter<long> LoadsFailed { get; } = meter.CreateCounter<long>(
        IlgpuLoaderTelemetry.LoadsFailed, LoadsUnit, "Loads and reloads that failed, each try.");

    /// <summary><see cref="IlgpuLoaderTelemetry.LeaseWaitDuration"/>.</summary>
    public Histogram<double> LeaseWait { get; } = meter.CreateHistogram(
        LeaseWaitDuration, SecondsUnit, "The time that who leases a model waited for it.", advice: Waits);
}
