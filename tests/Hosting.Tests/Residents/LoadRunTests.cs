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
        LoadRun run = _run;
        Assert.Null(_run.Download);
        var download = _run.BeginDownload();
        Assert.Null(_run.Download);
        run.Report(new DownloadProgress(0, 2, 50, 100, 0));
        Pass(1);
        run.Report(new DownloadProgress(1, 2, 80, 100, 30));
        Assert.Equal(new ModelDownload(1, 2, 80, 100, 30), _run.Download);
        Assert.Equal(2, _changes);
        download.Dispose();
        Assert.Null(_run.Download);
        Assert.Equal(3, _changes);

        // The next begins anew: what is counted is what was fetched.
        using (_run.BeginDownload())
        {
            run.Report(new DownloadProgress(0, 1, 5, 10, 5));
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

    private void Pass(int seconds) => _all.Time.Advance(TimeSpan.FromSeconds(seconds));
}
