using IlgpuLoader.Loading;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Readiness from what models are, and liveness from what the service says.</summary>
[Trait("Area", "Health")]
public sealed class HealthCheckTests
{
    private static readonly ModelStatus Loaded = new()
    {
        Name = "llama",
        State = ModelState.Loaded,
        Since = DateTimeOffset.UnixEpoch,
        Device = "host",
        IsRequired = true,
        IsAvailable = true,
        Version = 3,
    };

    private static readonly ModelStatus Loading = Loaded with { State = ModelState.Loading, IsAvailable = false, Version = 0, Progress = new LoadProgress(4299, 10_000, 1, 9) };

    private static readonly ModelFailure OutOfMemory = new("DeviceMemory", "There is too little.", DateTimeOffset.UnixEpoch, 1, null);

    public static TheoryData<string, HealthStatus, string> Cases => new()
    {
        { "loaded", HealthStatus.Healthy, "all required models are available" },
        { "loading", HealthStatus.Unhealthy, "llama: loading, 42 %" },
        { "planning", HealthStatus.Unhealthy, "llama: loading" },
        { "downloading", HealthStatus.Unhealthy, "llama: loading, 17 % downloaded" },
        { "queued", HealthStatus.Unhealthy, "llama: waits to be loaded" },
        { "failed", HealthStatus.Unhealthy, "llama: failed, DeviceMemory" },
        { "unloaded by a call", HealthStatus.Unhealthy, "llama: not loaded" },
        { "replaced", HealthStatus.Unhealthy, "llama: reloading, 42 %" },
        { "reloading beside", HealthStatus.Healthy, "all required models are available" },
        { "a reload failed", HealthStatus.Degraded, "llama: the last reload failed, DeviceMemory" },
        { "an old layer", HealthStatus.Degraded, "llama: 1 layer has old weights" },
        { "old layers", HealthStatus.Degraded, "llama: 2 layers have old weights" },
        { "an optional one failed", HealthStatus.Degraded, "llama: failed, DeviceMemory" },
        { "an optional one loads", HealthStatus.Healthy, "all required models are available" },
        { "an optional one is unloaded", HealthStatus.Healthy, "all required models are available" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Models_are_as_healthy_as_what_they_are(string what, HealthStatus expected, string description)
    {
        var model = what switch
        {
            "loaded" => Loaded,
            "loading" => Loading,
            "planning" => Loading with { Progress = null },
            "downloading" => Loading with { Download = new ModelDownload(1, 3, 179, 1000, 5) },
            "queued" => Loading with { State = ModelState.Queued, Progress = null },
            "failed" => Loading with { State = ModelState.Failed, Progress = null, Failure = OutOfMemory },
            "unloaded by a call" => Loading with { State = ModelState.Unloaded, Progress = null },
            "replaced" => Loading with { State = ModelState.Reloading },
            "reloading beside" => Loaded with { State = ModelState.Reloading, Progress = new LoadProgress(1, 2, 0, 1) },
            "a reload failed" => Loaded with { Failure = OutOfMemory with { IsReload = true } },
            "an old layer" => Loaded with { LastLoad = new CompletedLoad(true, TimeSpan.Zero, 0, []) { OldLayers = 1 } },
            "old layers" => Loaded with { LastLoad = new CompletedLoad(true, TimeSpan.Zero, 0, []) { OldLayers = 2 } },
            "an optional one failed" => Loading with { IsRequired = false, State = ModelState.Failed, Progress = null, Failure = OutOfMemory },
            "an optional one loads" => Loading with { IsRequired = false },
            "an optional one is unloaded" => Loading with { IsRequired = false, State = ModelState.Unloaded, Progress = null },
            _ => throw new ArgumentOutOfRangeException(nameof(what)),
        };
        var entry = (await CheckAsync(model)).Entries[IlgpuLoaderHealth.ModelsCheck];
        Assert.Equal((expected, description), (entry.Status, entry.Description));
        Assert.Equal([IlgpuLoaderHealth.ReadyTag], entry.Tags);
    }

    [Fact]
    public async Task What_is_missing_is_said_before_what_is_worse_and_the_data_has_every_model()
    {
        var report = await CheckAsync(
            Loaded with { Name = "a", Failure = OutOfMemory with { IsReload = true } }, Loading with { Name = "b" }, Loading with { Name = "c", State = ModelState.Failed, Progress = null, Failure = OutOfMemory });
        var entry = report.Entries[IlgpuLoaderHealth.ModelsCheck];
        Assert.Equal((HealthStatus.Unhealthy, "b: loading, 42 %; c: failed, DeviceMemory; a: the last reload failed, DeviceMemory"), (entry.Status, entry.Description));
        Assert.Equal(new ModelHealth(ModelState.Loaded, true, true, null, "DeviceMemory", 3), entry.Data["a"]);
        Assert.Equal(new ModelHealth(ModelState.Loading, true, false, 42, null, 0), entry.Data["b"]);
        Assert.Equal(new ModelHealth(ModelState.Failed, true, false, null, "DeviceMemory", 0), entry.Data["c"]);
    }

    [Fact]
    public async Task A_host_without_models_is_ready() =>
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync()).Entries[IlgpuLoaderHealth.ModelsCheck].Status);

    [Theory]
    [InlineData(0, 0, 0, 0, 100)]
    [InlineData(0, 0, 1, 3, 33)]
    [InlineData(9_999, 10_000, 0, 1, 99)]
    [InlineData(10_000, 10_000, 1, 1, 100)]
    [InlineData(5, 4, 0, 1, 100)]
    public async Task Percentages_are_of_bytes_and_rounded_down(long read, long total, int loaded, int tensors, int percent)
    {
        var report = await CheckAsync(Loading with { Progress = new LoadProgress(read, total, loaded, tensors) });
        Assert.Equal(percent, ((ModelHealth)report.Entries[IlgpuLoaderHealth.ModelsCheck].Data["llama"]).Percent);
    }

    [Fact]
    public async Task The_service_lives_until_it_says_what_it_has_ended_by()
    {
        await using var services = Services(Loading);
        var health = services.GetRequiredService<HealthCheckService>();
        Assert.Equal(HealthStatus.Healthy, (await health.CheckHealthAsync(IsLive)).Status);
        services.GetRequiredService<ServiceLiveness>().Fail(new IOException("first"));
        services.GetRequiredService<ServiceLiveness>().Fail(new InvalidOperationException("second"));
        var entry = (await health.CheckHealthAsync(IsLive)).Entries[IlgpuLoaderHealth.LoadingServiceCheck];
        Assert.Equal((HealthStatus.Unhealthy, "the loading service has ended: IOException"), (entry.Status, entry.Description));
        Assert.Equal("first", entry.Exception?.Message);

        static bool IsLive(HealthCheckRegistration check) => check.Tags.Contains(IlgpuLoaderHealth.LiveTag);
    }

    [Fact]
    public async Task Who_added_the_checks_already_has_each_once()
    {
        var services = new ServiceCollection();
        _ = services.AddSingleton<IModelStore>(new StandInModels(Loaded));
        _ = services.AddLogging().AddHealthChecks().AddIlgpuLoader().AddIlgpuLoader();
        _ = services.AddIlgpuLoader();
        _ = services.AddIlgpuLoader();
        await using var provider = services.BuildServiceProvider();
        var report = await provider.GetRequiredService<HealthCheckService>().CheckHealthAsync();
        Assert.Equal([IlgpuLoaderHealth.LoadingServiceCheck, IlgpuLoaderHealth.ModelsCheck], report.Entries.Keys.Order());
    }

    private static async Task<HealthReport> CheckAsync(params ModelStatus[] models)
    {
        await using var services = Services(models);
        return await services.GetRequiredService<HealthCheckService>().CheckHealthAsync(check => check.Tags.Contains(IlgpuLoaderHealth.ReadyTag));
    }

    private static ServiceProvider Services(params ModelStatus[] models)
    {
        var services = new ServiceCollection();
        _ = services.AddSingleton<IModelStore>(new StandInModels(models));
        _ = services.AddIlgpuLoader();
        return services.BuildServiceProvider();
    }
}
