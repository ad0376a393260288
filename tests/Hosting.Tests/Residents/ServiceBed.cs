using System.Buffers.Binary;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace IlgpuLoader.Hosting.Tests;

/// <summary>A host with models on a device of its own, whose allocations are counted, and a folder for checkpoints.</summary>
internal sealed class ServiceBed : IAsyncDisposable
{
    private IHost? _host;

    public TemporaryFolder Folder { get; } = new();

    public HostDevice Device { get; } = new();

    public IHost Host => _host ?? throw new InvalidOperationException("The host is not made yet.");

    public IModelStore Store => Host.Services.GetRequiredService<IModelStore>();

    /// <summary>Makes the host, which is not started.</summary>
    public ServiceBed Make(Action<IlgpuLoaderBuilder> add, Action<IServiceCollection>? configure = null)
    {
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        add(builder.Services.AddIlgpuLoader().AddDevice("mine", Device));
        configure?.Invoke(builder.Services);
        _host = builder.Build();
        return this;
    }

    /// <summary>A checkpoint of one tensor <c>a</c>, F32, all of whose elements have one value, and one <c>b</c>.</summary>
    public string Write(float value, int count = 4, string folder = "model")
    {
        var bytes = new byte[4 * count];
        for (var i = 0; i < count; i++)
        {
            BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4 * i), value);
        }

        var file = new SafetensorsBuilder().Add("layers.0.a", "F32", [(ulong)count], bytes).Add("layers.1.b", "F32", [(ulong)count], bytes).ToBytes();
        Directory.CreateDirectory(Folder[folder]);
        // Renamed into place, as whoever serves a folder does: no reader sees half of it.
        var written = Path.Combine(Folder[folder], ".new");
        File.WriteAllBytes(written, file);
        File.Move(written, Path.Combine(Folder[folder], "model.safetensors"), overwrite: true);
        return Folder[folder];
    }

    /// <summary>What two ranks have saved of the sample of a Llama, with its configuration.</summary>
    public async Task<string> SaveRanksAsync()
    {
        var sample = Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");
        await using var checkpoint = await Checkpoint.OpenAsync(sample);
        foreach (var rank in (int[])[0, 1])
        {
            var context = new ModelContext { Config = checkpoint.Config!, Parallel = new TensorParallel(2, rank) };
            using var module = ModelInitializer.Initialize(context);
            await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(module, checkpoint));
            await new ShardedStateLoader().SaveModelAsync(module, Folder["saved"], new ShardedStateSaveOptions { Parallel = context.Parallel, SaveId = "one" });
        }

        File.Copy(Path.Combine(sample, "config.json"), Path.Combine(Folder["saved"], "config.json"), overwrite: true);
        return Folder["saved"];
    }

    public async ValueTask DisposeAsync()
    {
        if (_host is IAsyncDisposable host)
        {
            await host.DisposeAsync();
        }

        Folder.Dispose();
    }
}
