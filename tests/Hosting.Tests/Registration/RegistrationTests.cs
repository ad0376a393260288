using IlgpuLoader.Gpu;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>What <c>AddIlgpuLoader</c> adds, and in which order options count.</summary>
[Trait("Area", "Registration")]
public sealed class RegistrationTests
{
    [Fact]
    public void AddIlgpuLoader_CalledAgain_AddsNothing()
    {
        var services = new ServiceCollection();
        _ = services.AddIlgpuLoader();
        var count = services.Count;
        Assert.Same(services, services.AddIlgpuLoader().Services);
        Assert.Equal(count, services.Count);
    }

    [Fact]
    public void AddIlgpuLoader_WhatIsThereAlready_Stays()
    {
        var (time, store) = (new TestKit.ManualTime(), new StandInModels());
        var services = new ServiceCollection();
        _ = services.AddSingleton<TimeProvider>(time).AddSingleton<IModelStore>(store);
        _ = services.AddIlgpuLoader();
        using var provider = services.BuildServiceProvider(new ServiceProviderOptions { ValidateScopes = true });
        Assert.Same(time, provider.GetRequiredService<TimeProvider>());
        Assert.Same(store, provider.GetRequiredService<IModelStore>());
    }

    [Fact]
    public void Options_OfTheContainersConfiguration_AreBoundUnlessASectionIsGiven()
    {
        var root = ConfigurationOf.Pairs("IlgpuLoader:Models:a:Path=of the container", "Other:Models:b:Path=of the section");
        Assert.Equal(["a"], OptionsOf(services => services.AddIlgpuLoader(), root).Models.Keys);
        Assert.Equal(["a"], OptionsOf(services => services.AddIlgpuLoader(_ => { }), root).Models.Keys);
        Assert.Equal(["b"], OptionsOf(services => services.AddIlgpuLoader(root.GetSection("Other")), root).Models.Keys);
        Assert.Empty(OptionsOf(services => services.AddIlgpuLoader(), configuration: null).Models);
    }

    [Fact]
    public void Options_OfSeveralSections_LaterOnesWin()
    {
        var root = ConfigurationOf.Pairs("One:Models:a:Path=1", "One:Models:a:DType=f32", "Two:Models:a:Path=2", "Two:Models:b:Path=3");
        var options = OptionsOf(
            services =>
            {
                _ = services.AddIlgpuLoader(root.GetSection("One"));
                _ = services.AddIlgpuLoader(root.GetSection("Two"));
            },
            root);
        Assert.Equal(["a", "b"], options.Models.Keys.Order());
        Assert.Equal(("2", "f32"), (options.Models["a"].Path, options.Models["a"].DType));
    }

    [Fact]
    public void AddModel_OfANameThatConfigurationHas_RunsAfterItWhicheverCameFirst()
    {
        var root = ConfigurationOf.Pairs("IlgpuLoader:Models:llama:Path=file", "IlgpuLoader:Models:llama:DType=f32");
        var seen = "";
        var options = OptionsOf(
            services => services.AddIlgpuLoader().AddModel("LLAMA", model =>
            {
                seen = model.Path ?? "";
                model.Path = "code";
            }).Services.AddIlgpuLoader(root.GetSection("IlgpuLoader")),
            root);
        Assert.Equal("file", seen);
        Assert.Equal(("code", "f32"), (Assert.Single(options.Models).Value.Path, options.Models["llama"].DType));
    }

    [Fact]
    public void AddModel_WithAPath_HasTheDefaults()
    {
        var options = OptionsOf(services => services.AddIlgpuLoader(loader => loader.OnFailure = FailureBehavior.Degrade).AddModel("a", "p"), configuration: null);
        Assert.Equal((FailureBehavior.Degrade, "p", "auto", true), (options.OnFailure, options.Models["a"].Path, options.Models["a"].Device, options.Models["a"].LoadOnStart));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("..")]
    public void AddModel_ANameThatIsNone_IsRefusedAtOnce(string name) =>
        Assert.Contains("64 letters", Assert.Throws<ArgumentException>(() => new ServiceCollection().AddIlgpuLoader().AddModel(name, "p")).Message, StringComparison.Ordinal);

    [Fact]
    public void AddDevice_ADevice_IsTheKeyedServiceOfItsNameAndNeverDisposed()
    {
        using var device = new DisposedDevice();
        var services = new ServiceCollection();
        _ = services.AddIlgpuLoader().AddDevice("mine", device);
        using (var provider = services.BuildServiceProvider())
        {
            Assert.Same(device, provider.GetRequiredKeyedService<Device>("mine"));
            Assert.True(provider.GetRequiredService<NamedDevices>().TryGet("mine", out var found));
            Assert.Same(device, found);
            Assert.False(provider.GetRequiredService<NamedDevices>().TryGet("Mine", out _));
        }

        Assert.Equal(0, device.Disposals);
    }

    [Fact]
    public void AddDevice_AFactory_IsCalledOnceWhenItIsAskedForAndItsDeviceNeverDisposed()
    {
        using var device = new DisposedDevice();
        var made = 0;
        var services = new ServiceCollection();
        _ = services.AddSingleton(device).AddIlgpuLoader().AddDevice("mine", provider =>
        {
            made++;
            return provider.GetRequiredService<DisposedDevice>();
        });
        using (var provider = services.BuildServiceProvider())
        {
            var devices = provider.GetRequiredService<NamedDevices>();
            Assert.True(devices.Contains("mine"));
            Assert.Equal(0, made);
            Assert.True(devices.TryGet("mine", out var first));
            Assert.True(devices.TryGet("mine", out var second));
            Assert.Same(first, second);
            Assert.Equal(1, made);
        }

        Assert.Equal(0, device.Disposals);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a,b")]
    [InlineData("a b")]
    public void AddDevice_ANameThatIsNone_IsRefused(string name) =>
        Assert.Throws<ArgumentException>(() => new ServiceCollection().AddIlgpuLoader().AddDevice(name, HostDevice.Shared));

    [Fact]
    public void HostedModel_OfAnyName_IsTheKeyedService()
    {
        var services = new ServiceCollection();
        _ = services.AddSingleton<IModelStore>(new StandInModels(new ModelStatus { Name = "llama", State = ModelState.Loaded, Since = DateTimeOffset.UnixEpoch, Device = "host" }));
        _ = services.AddIlgpuLoader();
        using var provider = services.BuildServiceProvider();
        Assert.Equal("llama", provider.GetRequiredKeyedService<IHostedModel>("llama").Name);
        Assert.Contains("llama", Assert.Throws<ModelNotConfiguredException>(() => provider.GetRequiredKeyedService<IHostedModel>("lama")).Message, StringComparison.Ordinal);
        _ = Assert.Throws<ArgumentException>(() => provider.GetRequiredKeyedService<IHostedModel>(7));
    }

    [Fact]
    public async Task Start_WithWrongOptions_FailsOnceWithAllOfThem()
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        _ = builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["IlgpuLoader:Models:llama:Devcie"] = "host",
            ["IlgpuLoader:Models:llama:Path"] = "models/llama",
            ["IlgpuLoader:Models:llama:Lanes"] = "many",
            ["IlgpuLoader:Models:a b:Path"] = "models/a",
            ["IlgpuLoader:MaximumConcurrentLoads"] = "0",
            ["IlgpuLoader:Retry:FirstDelay"] = "00:00:00.001",
            ["IlgpuLoader:Retry:MaximumRetries"] = "0",
        });
        _ = builder.Services.AddIlgpuLoader().AddModel("code", model =>
        {
            model.Device = "gpu";
            model.WorldSize = 0;
        });
        using var host = builder.Build();
        var exception = await Assert.ThrowsAsync<OptionsValidationException>(() => host.StartAsync());
        Assert.Equal(
            [
                "IlgpuLoader:MaximumConcurrentLoads: 0 is not between 1 and 64",
                "IlgpuLoader:Models:a b: 'a b' is no name of a model; names have 1 to 64 letters, digits, '.', '_' and '-', and are not dots alone",
                "IlgpuLoader:Models:code:Device: 'gpu' is no device; it is auto, host, cuda:0, opencl:0, several of these with commas between them, or the name of a device that was given to AddDevice",
                "IlgpuLoader:Models:code:Path: is missing; it is the checkpoint: a file, a folder or an index, or its address",
                "IlgpuLoader:Models:code:WorldSize: 0 is not between 1 and 1024",
                "IlgpuLoader:Models:llama:Devcie: there is no such key; did you mean 'Device'?",
                "IlgpuLoader:Models:llama:Lanes: 'many' is no whole number",
                "IlgpuLoader:Retry:FirstDelay: 00:00:00.0010000 is not between 00:00:00.0100000 and 1.00:00:00",
                "IlgpuLoader:Retry:MaximumRetries: 0 is not between 1 and 2147483647",
            ],
            exception.Failures.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Validate_WhatOnlyCodeCanSet_IsNamed()
    {
        var services = new ServiceCollection();
        _ = services.AddIlgpuLoader(options =>
        {
            options.OnFailure = (FailureBehavior)9;
            options.Retry = null!;
            options.Models["a"] = null!;
        });
        using var provider = services.BuildServiceProvider();
        Assert.Equal(
            ["IlgpuLoader:Models:a: has no options", "IlgpuLoader:OnFailure: '9' is none of Stop, Retry, Degrade", "IlgpuLoader:Retry: has no options"], Failures(provider));
    }

    [Fact]
    public void Validate_DelaysTheWrongWayRound_AreNamedUnderTheSectionThatWasGiven()
    {
        var services = new ServiceCollection();
        _ = services.AddIlgpuLoader(ConfigurationOf.Pairs("My:Loader:Retry:FirstDelay=00:02:00").GetSection("My:Loader"));
        using var provider = services.BuildServiceProvider();
        Assert.Equal(["My:Loader:Retry:MaximumDelay: 00:01:00 is less than FirstDelay, 00:02:00"], Failures(provider));
    }

    [Fact]
    public void Validate_TheRootOfAConfiguration_HasKeysWithoutAPath()
    {
        var services = new ServiceCollection();
        _ = services.AddIlgpuLoader(ConfigurationOf.Pairs("Models:a:DType=x", "Models:a:Path=p"));
        using var provider = services.BuildServiceProvider();
        Assert.StartsWith("Models:a:DType: 'x' is none of keep,", Assert.Single(Failures(provider)), StringComparison.Ordinal);
    }

    private static string[] Failures(IServiceProvider provider) =>
        [.. Assert.Throws<OptionsValidationException>(() => provider.GetRequiredService<IStartupValidator>().Validate()).Failures.Order(StringComparer.Ordinal)];

    private static IlgpuLoaderOptions OptionsOf(Action<IServiceCollection> register, IConfiguration? configuration)
    {
        var services = new ServiceCollection();
        if (configuration is not null)
        {
            _ = services.AddSingleton(configuration);
        }

        register(services);
        using var provider = services.BuildServiceProvider();
        return provider.GetRequiredService<IOptions<IlgpuLoaderOptions>>().Value;
    }
}
