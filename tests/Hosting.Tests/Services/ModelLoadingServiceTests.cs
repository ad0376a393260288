using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

public sealed class ModelLoadingServiceTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly ServiceBed _bed = new();
    private readonly ManualTime _time = new();

    public Task InitializeAsync() => Task.CompletedTask;

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _bed.DisposeAsync();
        Assert.Equal(0, _bed.Device.LiveBytes);
    }

    [Fact]
    public async Task Start_LoadsAndBecomesReady_StopFreesAll()
    {
        Make(("one", options => options.Path = _bed.Write(1)), ("two", options => options.Path = _bed.Write(2, folder: "other")), ("later", options => (options.Path, options.LoadOnStart) = (_bed.Write(3), false)));
        Assert.Equal(HealthStatus.Unhealthy, await ReadinessAsync());
        await _bed.Host.StartAsync();
        using (var lease = await _bed.Store["two"].LeaseAsync())
        {
            Assert.Equal(2f, lease["layers.0.a"].AsReadOnlySpan<float>()[0]);
        }

        (await _bed.Store["ONE"].LeaseAsync()).Dispose();
        Assert.Equal(HealthStatus.Healthy, await ReadinessAsync());
        Assert.Equal([ModelState.Unloaded, ModelState.Loaded, ModelState.Loaded], _bed.Store.Models.Select(model => model.Status.State));
        Assert.Equal(["later", "one", "two"], _bed.Store.Models.Select(model => model.Name));
        Assert.Equal(64, _bed.Device.LiveBytes);

        await _bed.Host.StopAsync();
        Assert.Equal(0, _bed.Device.LiveBytes);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => _bed.Store["one"].LeaseAsync().AsTask());
    }

    [Fact]
    public async Task Start_ModelThatFails_StopsTheHost()
    {
        Make(("gone", options => options.Path = _bed.Folder["gone"]));
        var stopped = new TaskCompletionSource();
        _bed.Host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.Register(stopped.SetResult);
        await _bed.Host.StartAsync();
        await stopped.Task.WaitAsync(TimeSpan.FromSeconds(30));

        var failure = Assert.IsType<ModelNotAvailableException>(_bed.Host.Services.GetRequiredService<ServiceLiveness>().Failure);
        Assert.IsAssignableFrom<IOException>(failure.InnerException);
        Assert.Equal(FailureCode.Unreadable, FailureCode.Of(failure));
    }

    [Fact]
    public async Task Start_ModelThatFailsWithDegrade_GoesOnWithTheOthers()
    {
        Make(
            ("gone", options => (options.Path, options.OnFailure, options.Required) = (_bed.Folder["gone"], FailureBehavior.Degrade, false)),
            ("one", options => options.Path = _bed.Write(1)));
        await _bed.Host.StartAsync();
        (await _bed.Store["one"].LeaseAsync()).Dispose();
        await Assert.ThrowsAsync<ModelNotAvailableException>(() => _bed.Store["gone"].LeaseAsync().AsTask());

        Assert.Equal(HealthStatus.Degraded, await ReadinessAsync());
        Assert.False(_bed.Host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested);
    }

    [Fact]
    public async Task Stop_WithALease_FreesWithTheLastReader()
    {
        Make(("one", options => (options.Path, options.LeaseTimeout) = (_bed.Write(1), Timeout.InfiniteTimeSpan)));
        await _bed.Host.StartAsync();
        var lease = await _bed.Store["one"].LeaseAsync();
        var stopping = _bed.Host.StopAsync();
        await UntilAsync(() => stopping.IsCompleted);
        await stopping;
        Assert.Equal(1f, lease["layers.0.a"].AsReadOnlySpan<float>()[0]);

        lease.Dispose();
        await UntilAsync(() => _bed.Device.LiveBytes == 0);
    }

    [Fact]
    public async Task Unload_Model_LeavesItsDeviceInTheListWithNothingOnIt()
    {
        Make(("one", options => options.Path = _bed.Write(1)));
        await _bed.Host.StartAsync();
        (await _bed.Store["one"].LeaseAsync()).Dispose();
        await _bed.Store["one"].UnloadAsync();

        Assert.Equal([_bed.Device], _bed.Store.Devices);
        Assert.Equal(0, _bed.Device.LiveBytes);
    }

    [Fact]
    public async Task Watch_NewCheckpoint_IsLoaded()
    {
        var path = _bed.Write(1);
        Make(("one", options => (options.Path, options.Watch) = (path, true)));
        await _bed.Host.StartAsync();
        (await _bed.Store["one"].LeaseAsync()).Dispose();
        _bed.Write(2, count: 5);
        await UntilAsync(() => _bed.Store["one"].Status.Version == 2);

        using var lease = await _bed.Store["one"].LeaseAsync();
        Assert.Equal([2f, 2f, 2f, 2f, 2f], lease["layers.0.a"].AsReadOnlySpan<float>().ToArray());
    }

    [Fact]
    public async Task Watch_CheckpointThatCannotBeLoaded_LeavesTheOldOneAndIsNotTriedAgain()
    {
        var path = _bed.Write(1);
        Make(("one", options =>
        {
            (options.Path, options.Watch) = (path, true);
            options.Include.Add("layers.0.*");
            options.Manifest = _bed.Folder["manifest"];
        }
        ));
        await WriteManifestAsync(path);
        await _bed.Host.StartAsync();
        (await _bed.Store["one"].LeaseAsync()).Dispose();
        _bed.Write(2);
        await UntilAsync(() => _bed.Store["one"].Status.Failure is not null);
        var failed = _bed.Store["one"].Status;
        Assert.Equal((ModelState.Loaded, 1L, true), (failed.State, failed.Version, failed.Failure!.IsReload));

        // Many looks later it is the same failure.
        for (var i = 0; i < 5; i++)
        {
            await _time.WaitForTimersAsync();
            _time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(failed.Failure.At, _bed.Store["one"].Status.Failure!.At);
        Assert.Equal(HealthStatus.Degraded, await ReadinessAsync());
    }

    [Fact]
    public async Task Start_OptionsThatAreWrong_NamesThemAll()
    {
        Make(("one", options => options.DType = "f33"), ("two", options => (options.Path, options.Lanes) = ("x", -1)));

        var thrown = await Assert.ThrowsAsync<OptionsValidationException>(() => _bed.Host.StartAsync());
        foreach (var key in (string[])["one:Path", "one:DType", "two:Lanes"])
        {
            Assert.Contains(thrown.Failures, failure => failure.Contains(key, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Follow_Models_GivesEachNowAndAgainWhenItChanges()
    {
        Make(("one", options => (options.Path, options.LoadOnStart) = (_bed.Write(1), false)), ("two", options => (options.Path, options.LoadOnStart) = (_bed.Write(1), false)));
        await _bed.Host.StartAsync();
        await using var statuses = _bed.Store.WatchAsync(TimeSpan.Zero).GetAsyncEnumerator();
        Assert.Equal("one", await NextAsync());
        Assert.Equal("two", await NextAsync());
        var next = NextAsync();
        Assert.False(next.IsCompleted);
        await _bed.Store["two"].LoadAsync();
        Assert.Equal("two", await next);
        while (statuses.Current.State != ModelState.Loaded)
        {
            Assert.Equal("two", await NextAsync());
        }

        next = NextAsync();
        await _bed.Host.StopAsync();
        while (await next is { } name)
        {
            Assert.Contains(name, (string[])["one", "two"]);
            next = NextAsync();
        }

        async Task<string?> NextAsync() => await statuses.MoveNextAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30)) ? statuses.Current.Name : null;
    }

    private static async Task WriteAsync(string path, string manifest)
    {
        await using var checkpoint = await Formats.Checkpoint.OpenAsync(path);
        await TensorHasher.ToManifest(await TensorHasher.HashStoredAsync(checkpoint)).WriteAsync(manifest);
    }

    private Task WriteManifestAsync(string path) => WriteAsync(path, _bed.Folder["manifest"]);

    private async Task<HealthStatus> ReadinessAsync() =>
        (await _bed.Host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Tags.Contains(IlgpuLoaderHealth.ReadyTag))).Status;

    private void Make(params (string Name, Action<HostedModelOptions> Configure)[] models) => _bed.Make(
        builder =>
        {
            foreach (var (name, configure) in models)
            {
                builder.AddModel(name, options =>
                {
                    options.Device = "mine";
                    configure(options);
                });
            }
        },
        services => services.Replace(ServiceDescriptor.Singleton<TimeProvider>(_time)));

    private async Task UntilAsync(Func<bool> condition)
    {
        for (var i = 0; i < 1000 && !condition(); i++)
        {
            if (_time.TimerCount > 0)
            {
                _time.Advance(TimeSpan.FromSeconds(1));
            }

            await Task.Delay(5);
        }

        Assert.True(condition());
    }
}
