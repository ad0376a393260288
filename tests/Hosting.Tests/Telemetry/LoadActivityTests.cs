using System.Diagnostics;
using IlgpuLoader.Gpu;
using Microsoft.Extensions.Logging;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>What a load or reload leaves in metrics, activities and logs.</summary>
[Trait("Area", "Telemetry")]
public sealed class LoadActivityTests : IDisposable
{
    private const string Tensor = "model.layers.0.self_attn.q_proj.weight";

    private readonly TelemetryFixture _all = new();

    [Fact]
    public void A_completed_load_is_measured_with_its_format_and_device()
    {
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: false))
        {
            load.Planned(3000, 7);
            load.BytesRead(1000);
            load.BytesRead(0);
            load.BytesRead(2000);
            load.Completed(
                new CompletedLoad(false, TimeSpan.FromSeconds(1.5), 3000, [new LoadStage("read", TimeSpan.FromSeconds(1)), new LoadStage("upload", TimeSpan.FromSeconds(0.25))]), "safetensors", HostDevice.Shared);
        }

        var start = $"model={_all.Model},load.kind=load";
        Assert.Equal([($"{start},format=safetensors,device.kind=host", 1.5)], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadDuration));
        Assert.Equal([($"{start},format=safetensors,device.kind=host", 7)], _all.Metrics.Of(IlgpuLoaderTelemetry.TensorsLoaded));
        Assert.Equal([($"{start},stage=read", 1), ($"{start},stage=upload", 0.25)], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadStageDuration));
        Assert.Equal([(start, 1000), (start, 2000)], _all.Metrics.Of(IlgpuLoaderTelemetry.BytesRead));
        Assert.Equal([(start, 1), (start, -1)], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadsActive));
        Assert.Empty(_all.Metrics.Of(IlgpuLoaderTelemetry.LoadsFailed));
        Assert.Equal(["LoadStarted", "LoadPlanned", "LoadCompleted"], _all.Logs.Entries.Select(entry => entry.Event));
        Assert.Equal($"{_all.Model}: the load has read 3000 bytes of safetensors in 1.500 s (0 MB/s) to host", _all.Logs.Entries[^1].Text);
    }

    [Fact]
    public void A_failed_load_has_its_code_and_the_time_that_it_took()
    {
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: false))
        {
            _all.Time.Advance(TimeSpan.FromSeconds(2));
            load.Failed(Failure("DataTruncated"), new IOException("short"));
        }

        var tags = $"model={_all.Model},load.kind=load,error.type=DataTruncated";
        Assert.Equal([(tags, 2)], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadDuration));
        Assert.Equal([(tags, 1)], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadsFailed));
        Assert.Equal([1, -1], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadsActive).Select(one => one.Value));
        Assert.Empty(_all.Metrics.Of(IlgpuLoaderTelemetry.TensorsLoaded));
        var activity = Assert.Single(_all.Activities);
        Assert.Equal((ActivityStatusCode.Error, $"{Tensor} is short"), (activity.Status, activity.StatusDescription));
        Assert.Equal("DataTruncated", activity.GetTagItem(IlgpuLoaderTelemetry.ErrorTypeTag));
    }

    [Fact]
    public void A_load_that_is_only_disposed_was_canceled_and_is_no_failure()
    {
        using (_all.Telemetry.StartLoad(_all.Model, isReload: true))
        {
            _all.Time.Advance(TimeSpan.FromSeconds(2));
        }

        Assert.Empty(_all.Metrics.Of(IlgpuLoaderTelemetry.LoadDuration));
        Assert.Empty(_all.Metrics.Of(IlgpuLoaderTelemetry.LoadsFailed));
        Assert.Equal([($"model={_all.Model},load.kind=reload", 1), ($"model={_all.Model},load.kind=reload", -1)], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadsActive));
        var activity = Assert.Single(_all.Activities);
        Assert.Equal((ActivityStatusCode.Unset, "canceled"), (activity.Status, Assert.Single(activity.Events).Name));
        Assert.Equal((LogLevel.Information, $"{_all.Model}: the reload was ended early, after 2.000 s"), (_all.Logs.Entries[^1].Level, _all.Logs.Entries[^1].Text));
    }

    [Fact]
    public void Only_the_first_end_counts()
    {
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: false))
        {
            load.Canceled();
            load.Failed(Failure("Unreadable"), new IOException("late"));
            load.Completed(new CompletedLoad(false, TimeSpan.Zero, 0, []), "gguf", HostDevice.Shared);
        }

        Assert.Equal([1, -1], _all.Metrics.Of(IlgpuLoaderTelemetry.LoadsActive).Select(one => one.Value));
        Assert.Equal(["LoadStarted", "LoadCanceled"], _all.Logs.Entries.Select(entry => entry.Event));
        Assert.Single(_all.Activities);
    }

    [Fact]
    public async Task Stages_are_activities_below_the_loads_own_also_from_other_threads()
    {
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: true))
        {
            using (load.Stage("open"))
            {
            }

            await Task.Run(() => load.Stage("read").Dispose());
            load.Completed(new CompletedLoad(true, TimeSpan.FromSeconds(1), 0, []), "gguf", HostDevice.Shared);
        }

        var reload = _all.Activities[^1];
        Assert.Equal((IlgpuLoaderTelemetry.ReloadActivityName, ActivityStatusCode.Ok), (reload.OperationName, reload.Status));
        Assert.Equal(
            ["device.id=host", "device.kind=host", "format=gguf", "load.kind=reload", $"model={_all.Model}"], reload.TagObjects.Select(tag => $"{tag.Key}={tag.Value}").Order(StringComparer.Ordinal));
        Assert.Equal(["open", "read"], _all.Activities.SkipLast(1).Select(stage => stage.OperationName));
        Assert.All(_all.Activities.SkipLast(1), stage => Assert.Equal((reload.SpanId, reload.TraceId), (stage.ParentSpanId, stage.TraceId)));
        Assert.All(_all.Activities.SkipLast(1), stage => Assert.Equal(stage.OperationName, stage.GetTagItem(IlgpuLoaderTelemetry.StageTag)));
    }

    [Fact]
    public void A_reload_that_left_old_layers_is_a_warning()
    {
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: true))
        {
            load.Completed(new CompletedLoad(true, TimeSpan.FromSeconds(1), 0, []) { OldLayers = 3 }, "gguf", HostDevice.Shared);
        }

        Assert.Equal((LogLevel.Warning, "ReloadIncomplete"), (_all.Logs.Entries[^1].Level, _all.Logs.Entries[^1].Event));
        Assert.Contains("3 layers", _all.Logs.Entries[^1].Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("DataTruncated", LogLevel.Debug)]
    [InlineData("Unexpected", LogLevel.Error)]
    public void The_text_of_an_error_is_logged_at_Error_and_the_whole_exception_where_it_is_wanted(string code, LogLevel whole)
    {
        var exception = new InvalidOperationException($"at {Tensor}");
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: false))
        {
            load.Planned(1, 1);
            load.Failed(Failure(code), exception);
        }

        Assert.Equal(whole, Assert.Single(_all.Logs.Entries, entry => entry.Exception is not null).Level);
        Assert.Equal($"{_all.Model}: the load has failed ({code}, try 2): {Tensor} is short", Assert.Single(_all.Logs.Entries, entry => entry.Event == "LoadFailed").Text);
        // At Information and above, a name of a tensor is in the text of an error or nowhere.
        Assert.All(
            _all.Logs.Entries.Where(entry => entry.Level is LogLevel.Information or LogLevel.Warning), entry => Assert.DoesNotContain(Tensor, $"{entry.Text}{entry.Exception}", StringComparison.Ordinal));
    }

    [Fact]
    public void No_tag_of_a_metric_has_a_tensors_name()
    {
        using (var load = _all.Telemetry.StartLoad(_all.Model, isReload: false))
        {
            load.Failed(Failure("DataTruncated"), new IOException(Tensor));
        }

        Assert.DoesNotContain(_all.Metrics.All, one => one.Text.Contains(Tensor, StringComparison.Ordinal));
    }

    public void Dispose() => _all.Dispose();

    private static ModelFailure Failure(string code) => new(code, $"{Tensor} is short", DateTimeOffset.UnixEpoch, 2, null);
}
