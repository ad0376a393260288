using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>Hosted models that have an address: a server on the loopback.</summary>
public sealed class RemoteResidentTests : IAsyncLifetime, IAsyncDisposable
{
    private readonly ServiceBed _bed = new();
    private RemoteServer _server = null!;

    public async Task InitializeAsync() => _server = await RemoteServer.StartAsync();

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _bed.DisposeAsync();
        await _server.DisposeAsync();
        Assert.Equal((0L, 0L), (_bed.Device.LiveAllocations, _bed.Device.LiveBytes));
    }

    [Fact]
    public async Task Checkpoint_AtAnAddress_IsLoadedAndReloadedFromThere()
    {
        var file = _server.Add("/model.safetensors", await FileAsync(1));
        var model = Make(options => options.Path = _server.AddressOf("model.safetensors"));
        await model.LoadAsync();
        using (var lease = await model.LeaseAsync())
        {
            Assert.Equal([1f, 1f, 1f, 1f], lease["layers.0.a"].AsReadOnlySpan<float>().ToArray());
        }

        (file.Content, file.EntityTag) = (new RemoteContent(await FileAsync(2)), "\"second\"");
        await model.ReloadAsync();

        using var reloaded = await model.LeaseAsync();
        Assert.Equal([2f, 2f, 2f, 2f], reloaded["layers.0.a"].AsReadOnlySpan<float>().ToArray());
    }

    [Fact]
    public async Task Layout_AtAnAddress_HasItsConfigurationFromThere()
    {
        var folder = Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");
        foreach (var path in Directory.EnumerateFiles(folder))
        {
            _server.Add($"/llama/{Path.GetFileName(path)}", await File.ReadAllBytesAsync(path));
        }

        var model = Make(options => (options.Path, options.Layout) = (_server.AddressOf("llama/"), HostedLayout.Model));
        await model.LoadAsync();

        Assert.Contains(model.Tensors, tensor => tensor.Name.EndsWith("qkv_proj.weight", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Checkpoint_ThatIsNotThere_SaysWhichRemoteFailureItWas()
    {
        var model = Make(options => options.Path = _server.AddressOf("nothing.safetensors"));

        await Assert.ThrowsAsync<ModelNotAvailableException>(() => model.LoadAsync());

        Assert.Equal((ModelState.Failed, nameof(RemoteFailure.EntryMissing)), (model.Status.State, model.Status.Failure!.Code));
    }

    private async Task<byte[]> FileAsync(float value) => await File.ReadAllBytesAsync(Path.Combine(_bed.Write(value), "model.safetensors"));

    private IHostedModel Make(Action<HostedModelOptions> configure) =>
        _bed.Make(builder => builder
            .UseRemote(new RemoteOptions { MaximumRetries = 0 })
            .AddModel("remote", options =>
            {
                options.Device = "mine";
                configure(options);
            })).Host.Services.GetRequiredKeyedService<IHostedModel>("remote");
}
