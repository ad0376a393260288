using IlgpuLoader.Loading;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>What a load that runs says of its stages and of the download that it waits for.</summary>
[Trait("Area", "Telemetry")]
public sealed class LoadRunTests : IDisposable
{
    private readonly TelemetryFixture _all = new();
    private readonly LoadActivity _activity;
    private readonly LoadRun _run;
    private int _changes;

    public LoadRunTests()
    {
        _activity = _all.Telemetry.StartLoad(_all.Model, isReload: false);
        _run = new LoadRun(_activity, _ => _changes++, _all.Time);
    }

    public void Dispose()
    {
        _activity.Dispose();
        _all.Dispose();
    }

    [Fact]
    public void Stages_within_a_stage_have_times_of_their_own_and_those_of_one_name_add_up()
    {
        using (_run.Stage(LoadStage.Open))
        {
            Pass(1);
            using (_run.BeginDownload())
            {
                Pass(10);
            }

            Pass(2);
            using (_run.BeginDownload())
            {
                Pass(20);
            }

            Pass(4);
        }

        using (_run.Stage(LoadStage.Plan))
        {
            Pass(8);
        }

        var load = _run.Complete(isReload: false, oldLayers: 0);
        Assert.Equal([("download", 30), ("open", 7), ("plan", 8)], load.Stages.Select(stage => (stage.Name, (int)stage.Elapsed.TotalSeconds)));
        Assert.Equal(45, load.Elapsed.TotalSeconds);
        Assert.Equal(["download", "download", "open", "plan"], _all.Activities.Select(activity => activity.OperationName));
    }

    [Fact]
    public void A_download_is_there_from_its_first_report_to_its_end()
    {
        var download = _run.BeginDownload();
        Assert.Null(_run.Download);
        _run.Report(new DownloadProgress(0, 2, 50, 100, 0));
        Pass(1);
        _run.Report(new DownloadProgress(1, 2, 80, 100, 30));
        Assert.Equal(new ModelDownload(1, 2, 80, 100, 30), _run.Download);
        var changes = _changes;
        download.Dispose();
        Assert.Null(_run.Download);
        Assert.Equal(changes + 1, _changes);

        // The next begins anew: what is counted is what was fetched.
        using (_run.BeginDownload())
        {
            _run.Report(new DownloadProgress(0, 1, 5, 10, 5));
            Assert.Equal(new ModelDownload(0, 1, 5, 10, 0), _run.Download);
        }

        Assert.Equal([30d, 5d], _all.Metrics.Of(IlgpuLoaderTelemetry.BytesDownloaded).Select(one => one.Value));
    }

    [Fact]
    public void What_was_there_without_a_download_is_none()
    {
        _run.Report(new DownloadProgress(2, 2, 100, 100, 0));
        Assert.Null(_run.Download);
        Assert.Equal(0, _changes);
    }

    [Fact]
    public void A_download_that_stalls_is_looked_at_each_second_until_it_ends()
    {
        using (_run.BeginDownload())
        {
            _run.Report(new DownloadProgress(0, 1, 0, 100, 0));
            Pass(1);
            _run.Report(new DownloadProgress(0, 1, 50, 100, 50));
            var changes = _changes;
            Pass(1);
            Pass(1);
            Assert.Equal((changes + 2, 0), (_changes, _run.Download!.BytesPerSecond));
        }

        var ended = _changes;
        Pass(5);
        Assert.Equal(ended, _changes);
    }

    [Fact]
    public void The_speed_of_a_load_is_that_of_reading()
    {
        using (_run.Stage(LoadStage.Open))
        using (_run.BeginDownload())
        {
            Pass(90);
        }

        using (_run.Stage(LoadStage.Load))
        {
            Pass(10);
        }

        _run.Read(1000);
        var load = _run.Complete(isReload: false, oldLayers: 0);
        Assert.Equal((100, 90, 100d), (load.Elapsed.TotalSeconds, load.DownloadTime.TotalSeconds, load.BytesPerSecond));
    }

    private void Pass(int seconds) => _all.Time.Advance(TimeSpan.FromSeconds(seconds));
}
