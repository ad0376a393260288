using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Microsoft.Extensions.DependencyInjection;
using Xunit;

namespace IlgpuLoader.Hosting.Tests;

public sealed class ResidentTests : IAsyncLifetime, IAsyncDisposable
{
    private static readonly string TinyLlama = Path.Combine(RepositoryPaths.Root, "samples", "tiny-llama");

    private readonly ServiceBed _bed = new();

    public Task InitializeAsync() => Task.CompletedTask;

    // xunit 2 knows this one alone.
    Task IAsyncLifetime.DisposeAsync() => DisposeAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await _bed.DisposeAsync();
        Assert.Equal((0L, 0L), (_bed.Device.LiveAllocations, _bed.Device.LiveBytes));
    }

    [Fact]
    public async Task Checkpoint_Loaded_HasTheValuesOfItsFile()
    {
        var model = Make(options => options.Path = _bed.Write(1.5f));
        await model.LoadAsync();

        using var lease = await model.LeaseAsync();
        Assert.Equal(["layers.0.a", "layers.1.b"], lease.Names);
        Assert.Equal([1.5f, 1.5f, 1.5f, 1.5f], lease["layers.0.a"].AsReadOnlySpan<float>().ToArray());
        Assert.True(lease.TryGetTensor("layers.1.b", out _));
        Assert.False(lease.TryGetTensor("c", out _));
        Assert.Throws<TensorNotFoundException>(() => lease["layers.0.b"]);
        Assert.Equal((32L, "safetensors", "host"), (model.Status.MemoryBytes, model.Status.Format, model.Status.Device));
    }

    [Fact]
    public async Task Checkpoint_WithDType_IsConverted()
    {
        var model = Make(options => (options.Path, options.DType) = (TinyLlama, "f32"));
        await model.LoadAsync();

        Assert.All(model.Tensors, tensor => Assert.Equal(DType.F32, tensor.DType));
        Assert.Equal(model.Tensors.Sum(tensor => tensor.Bytes), model.Status.MemoryBytes);
        Assert.Equal(model.Status.MemoryBytes, _bed.Device.LiveBytes);
        Assert.Contains(model.Status.LastLoad!.Stages, stage => stage.Name == LoadStage.Decode);
    }

    [Fact]
    public async Task Checkpoint_WithRankAndChoice_LoadsItsShareOfThese()
    {
        var model = Make(options =>
        {
            (options.Path, options.WorldSize, options.Rank) = (TinyLlama, 2, 1);
            options.Include.Add("*.q_proj.weight");
        });
        await model.LoadAsync();

        Assert.Equal([new Shape(32, 64), new Shape(32, 64)], model.Tensors.Select(tensor => tensor.Shape));
        using var lease = await model.LeaseAsync();
        await using var checkpoint = await Checkpoint.OpenAsync(TinyLlama);
        using var whole = await new CheckpointLoader().LoadAsync(new CheckpointLoader().Plan(checkpoint));
        const string name = "model.layers.1.self_attn.q_proj.weight";
        Assert.Equal(whole[name].AsReadOnlySpan<Half>()[(32 * 64)..].ToArray(), lease[name].AsReadOnlySpan<Half>().ToArray());
    }

    [Fact]
    public async Task Checkpoint_Reloaded_KeepsTheOldValuesUnderTheirLease()
    {
        var path = _bed.Write(1);
        var model = Make(options => options.Path = path);
        await model.LoadAsync();
        var old = await model.LeaseAsync();
        _bed.Write(2);
        var reloading = model.ReloadAsync();
        for (var i = 0; i < 1000 && model.Status.Version == 1; i++)
        {
            await Task.Delay(5);
        }

        using (var lease = await model.LeaseAsync())
        {
            Assert.Equal((2f, 1f), (lease["layers.0.a"].AsReadOnlySpan<float>()[0], old["layers.0.a"].AsReadOnlySpan<float>()[0]));
        }

        Assert.Equal(64, _bed.Device.LiveBytes);
        old.Dispose();
        Assert.Throws<ObjectDisposedException>(() => old["layers.0.a"]);
        Assert.True((await reloading).IsWhole);
        Assert.Equal(32, _bed.Device.LiveBytes);
    }

    [Fact]
    public async Task Checkpoint_LayerLease_HoldsAllOfIt()
    {
        var model = Make(options => options.Path = _bed.Write(1));
        await model.LoadAsync();

        using var lease = await model.LeaseLayerAsync("layers.0");
        Assert.Equal(1f, lease["layers.0.a"].AsReadOnlySpan<float>()[0]);
        await Assert.ThrowsAsync<LayerNotFoundException>(() => model.LeaseLayerAsync("layers.7").AsTask());
    }

    [Fact]
    public async Task Checkpoint_LeaseThatEndsBehindAFence_IsFreedBehindIt()
    {
        var model = Make(options => options.Path = _bed.Write(1));
        await model.LoadAsync();
        var fence = new ManualFence();
        var lease = await model.LeaseAsync();
        lease.EndBehind(fence);
        var unloading = model.UnloadAsync();
        for (var i = 0; i < 1000 && model.Status.State != ModelState.Unloading; i++)
        {
            await Task.Delay(5);
        }

        Assert.False(unloading.IsCompleted);
        Assert.Equal(32, _bed.Device.LiveBytes);

        fence.Pass();
        await unloading;
        Assert.Equal(0, _bed.Device.LiveBytes);
        Assert.Throws<ObjectDisposedException>(() => lease.EndBehind(fence));
    }

    [Fact]
    public async Task Checkpoint_FileThatIsNone_FailsWithItsCode()
    {
        _bed.Folder.Write("model.safetensors", "this is no checkpoint, and long enough to be one");
        var model = Make(options => options.Path = _bed.Folder["model.safetensors"]);
        var thrown = await Assert.ThrowsAsync<ModelNotAvailableException>(() => model.LoadAsync());

        Assert.Equal(((CheckpointException)thrown.InnerException!).Code.ToString(), model.Status.Failure!.Code);
        Assert.Equal(0, _bed.Device.LiveBytes);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Model_Loaded_HasTheLayoutOfItsArchitecture(int worldSize)
    {
        var model = Make(options => (options.Path, options.Layout, options.WorldSize, options.Rank) = (TinyLlama, HostedLayout.Model, worldSize, 0));
        await model.LoadAsync();

        const string packed = "model.layers.0.self_attn.qkv_proj.weight";
        using var lease = await model.LeaseAsync();
        Assert.Equal(new Shape(128 / worldSize, 64), lease[packed].Shape);
        Assert.Contains(model.Tensors, tensor => tensor.Name == packed && tensor.DType == DType.BF16);
        Assert.Equal(model.Status.MemoryBytes, _bed.Device.LiveBytes);
        using var layer = await model.LeaseLayerAsync("model.layers.1.mlp");
        Assert.All(layer.Names, name => Assert.StartsWith("model.layers.1.", name, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Model_Reloaded_HasNewValuesInTheOldMemory()
    {
        var folder = CopyOfTinyLlama();
        var model = Make(options => (options.Path, options.Layout) = (folder, HostedLayout.Model));
        await model.LoadAsync();
        ushort[] Norm(IModelLease lease) => lease["model.norm.weight"].AsReadOnlySpan<ushort>().ToArray();
        DeviceMemory memory;
        ushort[] before;
        using (var lease = await model.LeaseAsync())
        {
            (memory, before) = (lease["model.norm.weight"].Memory, Norm(lease));
        }

        await ScaleAsync(folder, "model.norm.weight");
        var reload = await model.ReloadAsync();
        Assert.Equal((2L, true), (reload.Version, reload.IsWhole));
        using var after = await model.LeaseAsync();
        Assert.Equal(2, after.Version);
        Assert.Same(memory, after["model.norm.weight"].Memory);
        // One exponent more: twice the value.
        Assert.Equal(before.Select(value => (ushort)(value + 0x80)), Norm(after));
    }

    [Fact]
    public async Task Model_ReloadOfAnotherModel_FailsAndTheOldOneStays()
    {
        var folder = CopyOfTinyLlama();
        var model = Make(options => (options.Path, options.Layout) = (folder, HostedLayout.Model));
        await model.LoadAsync();
        foreach (var file in Directory.GetFiles(folder, "model*"))
        {
            File.Delete(file);
        }

        File.WriteAllBytes(Path.Combine(folder, "model.safetensors"), SafetensorsBuilder.Tiny());
        await Assert.ThrowsAsync<ModelReloadException>(() => model.ReloadAsync());

        Assert.Equal((ModelState.Loaded, 1L, true), (model.Status.State, model.Status.Version, model.Status.Failure!.IsReload));
        using var lease = await model.LeaseAsync();
        Assert.Equal(1, lease.Version);
    }

    [Fact]
    public async Task Sharded_OfTwoRanks_LoadsItsOwn()
    {
        var saved = await _bed.SaveRanksAsync();
        var model = Make(options => (options.Path, options.Layout, options.WorldSize, options.Rank) = (saved, HostedLayout.Sharded, 2, 1));
        await model.LoadAsync();
        using (var lease = await model.LeaseAsync())
        {
            Assert.Equal(new Shape(64, 64), lease["model.layers.0.self_attn.qkv_proj.weight"].Shape);
        }

        Assert.Equal(2, (await model.ReloadAsync()).Version);
    }

    private static async Task ScaleAsync(string folder, string name)
    {
        string file;
        long offset, length;
        await using (var checkpoint = await Checkpoint.OpenAsync(folder))
        {
            var tensor = checkpoint.Tensors.Single(tensor => tensor.Name == name);
            (file, offset, length) = (tensor.File.Path, tensor.DataOffset, tensor.DataByteLength);
        }

        var bytes = File.ReadAllBytes(file);
        for (var i = (int)offset; i < offset + length; i += 2)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(i), (ushort)(BitConverter.ToUInt16(bytes, i) + 0x80));
        }

        File.WriteAllBytes(file, bytes);
    }

    private string CopyOfTinyLlama()
    {
        var folder = Directory.CreateDirectory(_bed.Folder["llama"]).FullName;
        foreach (var file in Directory.GetFiles(TinyLlama))
        {
            File.Copy(file, Path.Combine(folder, Path.GetFileName(file)));
        }

        return folder;
    }

    private IHostedModel Make(Action<HostedModelOptions> configure)
    {
        _bed.Make(builder => builder.AddModel("model", options =>
        {
            options.Device = "mine";
            configure(options);
        }));
        return _bed.Host.Services.GetRequiredKeyedService<IHostedModel>("model");
    }

    private sealed class ManualFence : Fence
    {
        private readonly TaskCompletionSource _passed = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public override bool HasPassed => _passed.Task.IsCompleted;

        public override ValueTask WaitAsync(CancellationToken cancellationToken = default) => new(_passed.Task.WaitAsync(cancellationToken));

        public void Pass() => _passed.SetResult();
    }
}
