using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Xunit;

namespace IlgpuLoader.Hosting.Tests.Http;

public sealed partial class MetricsTests
{
    [Fact]
    public async Task Scrape_has_our_meters_and_aspnets_and_the_runtimes()
    {
        await using var server = await RunningServer.StartAsync();
        var meter = server.Services.GetRequiredService<IMeterFactory>().Create(IlgpuLoaderTelemetry.MeterName);
        meter.CreateCounter<long>("ilgpu_loader.bytes.read", "By", "Bytes that were read.").Add(5_000_000_000, new KeyValuePair<string, object?>("model", "llama"));
        // One that is over: the request's own time is measured behind it.
        _ = await server.GetAsync("/api/models");
        using var response = await server.SendAsync(HttpMethod.Get, "/metrics");
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType!.ToString());
        var metrics = Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(5_000_000_000, metrics["ilgpu_loader_bytes_read_bytes_total{model=\"llama\"}"]);
        Assert.Contains(metrics, metric => metric.Key.StartsWith("http_server_request_duration_seconds_count{", StringComparison.Ordinal) && metric.Key.Contains("http_route=\"/api/models\"", StringComparison.Ordinal));
        Assert.Contains(metrics.Keys, key => key.StartsWith("kestrel_active_connections{", StringComparison.Ordinal));
        Assert.Contains(metrics.Keys, key => key.StartsWith("dotnet_gc_collections_total{", StringComparison.Ordinal));
    }

    [Fact]
    public void Kinds_of_instruments_are_kinds_of_metrics()
    {
        using var bed = new Bed();
        var counter = bed.Meter.CreateCounter<int>("things.done", "{thing}", "What was done.\nA \\ line.");
        counter.Add(2);
        counter.Add(3);
        var active = bed.Meter.CreateUpDownCounter<long>("things.active");
        active.Add(3);
        active.Add(-1);
        var gauge = bed.Meter.CreateGauge<double>("fill", "1");
        gauge.Record(0.25);
        gauge.Record(0.5);
        var total = 7L;
        _ = bed.Meter.CreateObservableCounter("seen", () => total, "By");
        _ = bed.Meter.CreateObservableUpDownCounter("memory", () => new Measurement<long>(4, new KeyValuePair<string, object?>("device.id", "host")), "By");
        Assert.Equal(
            """
            # TYPE fill_ratio gauge
            fill_ratio 0.5
            # TYPE memory_bytes gauge
            memory_bytes{device_id="host"} 4
            # TYPE seen_bytes_total counter
            seen_bytes_total 7
            # TYPE things_active gauge
            things_active 2
            # HELP things_done_total What was done.\nA \\ line.
            # TYPE things_done_total counter
            things_done_total 5

            """,
            bed.Scrape());
        // What is observed is the whole, and does not add up.
        total = 9;
        Assert.Contains("seen_bytes_total 9\n", bed.Scrape(), StringComparison.Ordinal);
    }

    [Fact]
    public void Histogram_has_the_bounds_that_it_advises_and_counts_what_is_below_each()
    {
        using var bed = new Bed();
        var histogram = bed.Meter.CreateHistogram("load.duration", "s", null, null, new InstrumentAdvice<double> { HistogramBucketBoundaries = [0.5, 1, 2.5] });
        foreach (var value in (double[])[0.25, 0.5, 0.75, 2.5, 3])
        {
            histogram.Record(value, new KeyValuePair<string, object?>("model", "a"));
        }

        Assert.Equal(
            """
            # TYPE load_duration_seconds histogram
            load_duration_seconds_bucket{model="a",le="0.5"} 2
            load_duration_seconds_bucket{model="a",le="1"} 3
            load_duration_seconds_bucket{model="a",le="2.5"} 4
            load_duration_seconds_bucket{model="a",le="+Inf"} 5
            load_duration_seconds_sum{model="a"} 7
            load_duration_seconds_count{model="a"} 5

            """,
            bed.Scrape());
    }

    [Fact]
    public void Labels_are_escaped_and_the_same_in_any_order()
    {
        using var bed = new Bed();
        var counter = bed.Meter.CreateCounter<long>("c");
        KeyValuePair<string, object?> first = new("load.kind", "a\"b\\c\nd"), second = new("9", true), third = new("z", null), number = new("n", 1.5);
        counter.Add(1, first, second, third);
        counter.Add(1, third, first, second);
        counter.Add(1, number);
        Assert.Equal(
            """
            # TYPE c_total counter
            c_total{_9="true",load_kind="a\"b\\c\nd",z=""} 2
            c_total{n="1.5"} 1

            """,
            bed.Scrape());
    }

    [Fact]
    public void Series_that_are_no_longer_observed_are_gone()
    {
        using var bed = new Bed();
        var models = new List<Measurement<int>> { new(1, new KeyValuePair<string, object?>("state", "Loading")) };
        _ = bed.Meter.CreateObservableGauge("states", () => models);
        Assert.Contains("states{state=\"Loading\"} 1", bed.Scrape(), StringComparison.Ordinal);
        models[0] = new Measurement<int>(1, new KeyValuePair<string, object?>("state", "Loaded"));
        Assert.Equal("# TYPE states gauge\nstates{state=\"Loaded\"} 1\n", bed.Scrape());
    }

    [Fact]
    public void Meters_of_other_hosts_and_of_other_names_are_left_out()
    {
        using var bed = new Bed();
        using var other = new Bed();
        using var foreign = bed.Factory.Create("Somebody.Else");
        foreign.CreateCounter<int>("foreign").Add(1);
        other.Meter.CreateCounter<int>("theirs").Add(1);
        bed.Meter.CreateCounter<int>("ours").Add(1);
        Assert.Equal("# TYPE ours_total counter\nours_total 1\n", bed.Scrape());
    }

    [Fact]
    public void Series_without_end_are_cut()
    {
        using var bed = new Bed();
        var counter = bed.Meter.CreateCounter<int>("many");
        for (var i = 0; i < MetricFamily.MaximumSeries + 10; i++)
        {
            counter.Add(1, new KeyValuePair<string, object?>("i", i));
        }

        counter.Add(1, new KeyValuePair<string, object?>("i", 0));
        var metrics = Parse(bed.Scrape());
        Assert.Equal(MetricFamily.MaximumSeries, metrics.Count);
        Assert.Equal(2, metrics["many_total{i=\"0\"}"]);
    }

    [Theory]
    [InlineData("ilgpu_loader.load.duration", "s", MetricKind.Histogram, "ilgpu_loader_load_duration_seconds")]
    [InlineData("ilgpu_loader.bytes.read", "By", MetricKind.Counter, "ilgpu_loader_bytes_read_bytes_total")]
    [InlineData("size.bytes", "By", MetricKind.Gauge, "size_bytes")]
    [InlineData("a.total", null, MetricKind.Counter, "a_total")]
    [InlineData("loads", "{load}", MetricKind.UpDown, "loads")]
    [InlineData("9-lives", "1", MetricKind.Counter, "_9_lives_total")]
    public void Names_follow_OpenTelemetrys_rules(string name, string? unit, object kind, string expected) => Assert.Equal(expected, PrometheusText.NameOf(name, unit, (MetricKind)kind));

    // Each line is a comment of the two kinds or a sample, and a sample's metric has its type before it.
    private static Dictionary<string, double> Parse(string text)
    {
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var types = new Dictionary<string, string>();
        var samples = new Dictionary<string, double>();
        foreach (var line in text[..^1].Split('\n'))
        {
            if (Type().Match(line) is { Success: true } type)
            {
                types.Add(type.Groups["name"].Value, type.Groups["type"].Value);
            }
            else if (!line.StartsWith("# HELP ", StringComparison.Ordinal))
            {
                var sample = Sample().Match(line);
                Assert.True(sample.Success, line);
                var name = sample.Groups["name"].Value;
                Assert.True(types.ContainsKey(name) || types.GetValueOrDefault(Suffix().Replace(name, "")) == "histogram", line);
                samples.Add(sample.Groups["series"].Value, double.Parse(sample.Groups["value"].Value.Replace("+Inf", "Infinity", StringComparison.Ordinal), CultureInfo.InvariantCulture));
            }
        }

        return samples;
    }

    [GeneratedRegex("^# TYPE (?<name>[a-zA-Z_][a-zA-Z0-9_]*) (?<type>counter|gauge|histogram)$", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Type();

    [GeneratedRegex("""^(?<series>(?<name>[a-zA-Z_][a-zA-Z0-9_]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\[\\"n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\[\\"n])*")*\})?) (?<value>[^ ]+)$""", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Sample();

    [GeneratedRegex("_(bucket|sum|count)$", RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex Suffix();

    [Fact]
    public void Instrument_that_cannot_be_observed_is_logged_and_the_others_are_written()
    {
        using var log = new RecordedLog();
        using var loggers = new LoggerFactory([log]);
        using var bed = new Bed(loggers.CreateLogger<PrometheusMetrics>());
        _ = bed.Meter.CreateObservableGauge("bad", Unlucky);
        _ = bed.Meter.CreateObservableGauge("good", static () => 7L);
        Assert.Equal("# TYPE good gauge\ngood 7\n", bed.Scrape());
        Assert.Contains("no such luck", Assert.Single(log.Entries, entry => entry.Id.Name == "ObservationFailed").Text, StringComparison.Ordinal);

        static long Unlucky() => throw new InvalidOperationException("no such luck");
    }

    private sealed class Bed : IDisposable
    {
        private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
        private readonly PrometheusMetrics _metrics;

        public Bed(ILogger<PrometheusMetrics>? logger = null)
        {
            Factory = _services.GetRequiredService<IMeterFactory>();
            _metrics = new PrometheusMetrics(Factory, logger ?? NullLogger<PrometheusMetrics>.Instance);
            Meter = Factory.Create(IlgpuLoaderTelemetry.MeterName);
        }

        public IMeterFactory Factory { get; }

        public Meter Meter { get; }

        // Without those of the runtime, which are the process's.
        public string Scrape() => RuntimeLines().Replace(Encoding.UTF8.GetString(_metrics.Scrape()), "");

        public void Dispose()
        {
            _metrics.Dispose();
            _services.Dispose();
        }
    }

    [GeneratedRegex("^(# (HELP|TYPE) )?dotnet_.*\n", RegexOptions.Multiline | RegexOptions.ExplicitCapture | RegexOptions.NonBacktracking)]
    private static partial Regex RuntimeLines();
}
