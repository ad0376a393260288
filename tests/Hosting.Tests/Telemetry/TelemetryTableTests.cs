using System.Diagnostics.Metrics;
using System.Reflection;
using System.Text.RegularExpressions;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.Logging;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>What <c>docs/metrics.md</c> says, what the constants are, and what is there: the same.</summary>
[Trait("Area", "Telemetry")]
public sealed partial class TelemetryTableTests : IDisposable
{
    private readonly TelemetryFixture _all = new();

    [Fact]
    public void The_instruments_that_the_document_lists_are_those_that_there_are()
    {
        var documented = Rows("ilgpu_loader.").Select(row => $"{row[0]} {row[1]} {row[2]}").Order(StringComparer.Ordinal);
        var published = _all.Metrics.Instruments.Select(instrument => $"`{instrument.Name}` {KindOf(instrument)} `{instrument.Unit}`").Order(StringComparer.Ordinal);
        Assert.Equal(documented, published);
        Assert.All(_all.Metrics.Instruments, instrument => Assert.False(string.IsNullOrWhiteSpace(instrument.Description)));
        Assert.All(_all.Metrics.Instruments, instrument => Assert.Equal(IlgpuLoaderTelemetry.MeterName, instrument.Meter.Name));
    }

    [Fact]
    public void Each_constant_is_in_the_document_and_each_name_of_the_document_is_a_constant()
    {
        var constants = typeof(IlgpuLoaderTelemetry).GetFields(BindingFlags.Public | BindingFlags.Static).ToDictionary(field => field.Name, field => (string)field.GetRawConstantValue()!);
        Assert.Equal(
            Rows("ilgpu_loader.").Select(row => row[0].Trim('`')).Order(StringComparer.Ordinal), constants.Values.Where(value => value.StartsWith("ilgpu_loader.", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        Assert.Equal(
            Rows("ilgpu_loader.").Select(row => row[2].Trim('`')).Distinct().Order(StringComparer.Ordinal), constants.Where(one => one.Key.EndsWith("Unit", StringComparison.Ordinal)).Select(one => one.Value).Order(StringComparer.Ordinal));
        var tags = constants.Where(one => one.Key.EndsWith("Tag", StringComparison.Ordinal)).Select(one => one.Value).Order(StringComparer.Ordinal).ToArray();
        Assert.Equal(Rows("ilgpu_loader.").SelectMany(row => TagsOf(row[3])).Distinct().Order(StringComparer.Ordinal), tags);
        Assert.Equal(TagRows().Select(row => row[0].Trim('`')).Order(StringComparer.Ordinal), tags);
        Assert.Equal(
            Enum.GetNames<ModelState>().Select(name => name.ToLowerInvariant()), TagsOf(TagRows().Single(row => row[0] == $"`{IlgpuLoaderTelemetry.StateTag}`")[1]));
        Assert.Equal(
            Enum.GetNames<DeviceKind>().Select(name => name.ToLowerInvariant()).Order(StringComparer.Ordinal),
            TagsOf(TagRows().Single(row => row[0] == $"`{IlgpuLoaderTelemetry.DeviceKindTag}`")[1]).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Each_instrument_measures_with_the_tags_that_the_document_lists()
    {
        var device = new HostDevice();
        using var memory = device.Allocate(1000);
        _all.Telemetry.Observe(
            () => [new ModelStatus { Name = _all.Model, State = ModelState.Loaded, Since = DateTimeOffset.UnixEpoch, Device = "host", Version = 2 }], () => [device]);
        _all.Telemetry.ModelUnloaded(_all.Model, 5);
        _all.Telemetry.LeaseWaited(_all.Model, TimeSpan.FromSeconds(0.5));
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: false))
        {
            load.BytesRead(1);
            load.BytesDownloaded(1);
            load.Completed(new CompletedLoad(false, TimeSpan.FromSeconds(1), 1, [new LoadStage("read", TimeSpan.FromSeconds(1))]), "gguf", device);
        }

        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: false))
        {
            load.Failed(new ModelFailure("Unreadable", "no", DateTimeOffset.UnixEpoch, 1, null), new IOException("no"));
        }

        _all.Metrics.Collect();
        foreach (var row in Rows("ilgpu_loader."))
        {
            var measured = _all.Metrics.All.Where(one => one.Instrument == row[0].Trim('`')).ToArray();
            Assert.NotEmpty(measured);
            Assert.Equal(TagsOf(row[3]), measured.SelectMany(one => one.Tags.Select(tag => tag.Key)).Distinct());
        }
    }

    [Fact]
    public void What_is_observed_is_what_models_and_devices_are()
    {
        var (host, other, meta) = (new HostDevice(), new HostDevice(), new MetaDevice());
        using var first = host.Allocate(1000);
        using var second = other.Allocate(24);
        using var third = other.Allocate(0);
        ModelStatus[] models =
        [
            new() { Name = "a", State = ModelState.Loaded, Since = DateTimeOffset.UnixEpoch, Device = "host", Version = 2, IsRequired = true, IsAvailable = true },
            new() { Name = "b", State = ModelState.Failed, Since = DateTimeOffset.UnixEpoch, Device = "host" },
        ];
        _all.Metrics.Collect();
        Assert.Empty(_all.Metrics.All);
        _all.Telemetry.Observe(() => models, () => [host, other, meta, host]);
        _all.Metrics.Collect();
        // Two views of the host are one device to who looks from outside.
        Assert.Equal([("device.id=host,device.kind=host", 1024), ("device.id=meta,device.kind=meta", 0)], _all.Metrics.Of(IlgpuLoaderTelemetry.DeviceMemoryUsed));
        Assert.Equal([("device.id=host,device.kind=host", 3), ("device.id=meta,device.kind=meta", 0)], _all.Metrics.Of(IlgpuLoaderTelemetry.DeviceAllocations));
        Assert.Equal([("model=a", 2), ("model=b", 0)], _all.Metrics.Of(IlgpuLoaderTelemetry.ModelVersion));
        Assert.Equal(
            ["model=a,state=loaded", "model=b,state=failed"], _all.Metrics.Of(IlgpuLoaderTelemetry.ModelStateCount).Where(one => one.Value == 1).Select(one => one.Tags));
        Assert.Equal(2 * Enum.GetValues<ModelState>().Length, _all.Metrics.Of(IlgpuLoaderTelemetry.ModelStateCount).Count);
        Assert.Equal([("", 1)], _all.Metrics.Of(IlgpuLoaderTelemetry.Ready));
        models[0] = models[0] with { IsAvailable = false };
        _all.Metrics.Collect();
        Assert.Equal(0, _all.Metrics.Of(IlgpuLoaderTelemetry.Ready)[^1].Value);
    }

    [Fact]
    public void Durations_have_buckets_from_ten_milliseconds_to_an_hour()
    {
        foreach (var name in (string[])[IlgpuLoaderTelemetry.LoadDuration, IlgpuLoaderTelemetry.LoadStageDuration])
        {
            var advice = ((Histogram<double>)_all.Metrics.Instruments.Single(instrument => instrument.Name == name)).Advice;
            Assert.Equal((0.01, 3600), (advice!.HistogramBucketBoundaries![0], advice.HistogramBucketBoundaries[^1]));
        }
    }

    [Fact]
    public void The_logs_that_the_document_lists_are_those_of_the_service()
    {
        var documented = Rows("50").Select(row => (int.Parse(row[0]), row[1].Trim('`'), row[2]));
        var ours = LogMethods().Where(one => one.Log.EventId is >= 5000 and < 5100).Select(one => (one.Log.EventId, one.Log.EventName ?? "", one.Log.Level.ToString()));
        Assert.Equal(documented.Order(), ours.Order());
    }

    [Fact]
    public void Ids_of_logs_are_unique_and_events_are_named_after_their_methods()
    {
        var all = LogMethods();
        Assert.True(all.Count > 20);
        Assert.Empty(all.GroupBy(one => one.Log.EventId).Where(same => same.Count() > 1).Select(same => $"{same.Key}: {string.Join(", ", same.Select(one => one.Method.Name))}"));
        Assert.All(all.Where(one => one.Method.DeclaringType!.Assembly == typeof(LoadTelemetry).Assembly), one => Assert.Equal(one.Method.Name, one.Log.EventName));
    }

    [Fact]
    public void No_log_at_Information_or_above_has_a_place_for_a_tensors_name() =>
        Assert.All(
            LogMethods().Where(one => one.Log.Level >= LogLevel.Information),
            one => Assert.DoesNotMatch("(?i){(?!TensorCount)[^}:]*(tensor|parameter|weight)", one.Log.Message));

    public void Dispose() => _all.Dispose();

    private static IReadOnlyList<(MethodInfo Method, LoggerMessageAttribute Log)> LogMethods() =>
    [
        .. from assembly in (Assembly[])[typeof(LoadTelemetry).Assembly, typeof(WarningLog).Assembly]
           from type in assembly.GetTypes()
           from method in type.GetMethods(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly)
           let log = method.GetCustomAttribute<LoggerMessageAttribute>()
           where log is not null
           select (method, log),
    ];

    // The cells of the rows whose first begins so.
    private static IEnumerable<string[]> Rows(string start) =>
        File.ReadLines(Path.Combine(RepositoryPaths.Root, "docs", "metrics.md"))
            .Where(line => line.StartsWith('|'))
            .Select(line => line.Trim('|').Split('|', StringSplitOptions.TrimEntries))
            .Where(cells => cells[0].Trim('`').StartsWith(start, StringComparison.Ordinal));

    private static IEnumerable<string[]> TagRows() => Rows("").Where(row => row.Length == 2 && row[0].StartsWith('`'));

    private static IEnumerable<string> TagsOf(string cell) => Ticked().Matches(cell).Select(match => match.Groups["name"].Value);

    private static string KindOf(Instrument instrument) => instrument.GetType().Name switch
    {
        "Histogram`1" => "histogram",
        "Counter`1" => "counter",
        "UpDownCounter`1" => "up-down counter",
        "ObservableUpDownCounter`1" => "observable up-down counter",
        "ObservableGauge`1" => "observable gauge",
        var other => other,
    };

    [GeneratedRegex("`(?<name>[^`]+)`", RegexOptions.NonBacktracking)]
    private static partial Regex Ticked();
}
