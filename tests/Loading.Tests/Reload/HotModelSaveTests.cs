using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A live model that is saved while it is reloaded.</summary>
[Trait("Area", "Reload")]
public sealed class HotModelSaveTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Output => Path.Combine(_folder.Path, "saved");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Save_WhileAReloadRuns_WaitsForItAndSavesOneVersion()
    {
        await using var first = await OpenAsync(1);
        await using var second = await OpenAsync(2);
        var (hot, model) = await LoadAsync(first);
        await using (hot)
        {
            using var pause = new Pause();
            var reloading = Task.Run(() => hot.ReloadAsync(second, null, pause));
            await pause.Reached;
            var exception = await Assert.ThrowsAsync<InvalidOperationException>(() => StateSample.Loader.SaveModelAsync(model, Output));
            Assert.Contains("is being reloaded", exception.Message, StringComparison.Ordinal);
            Assert.False(Directory.Exists(Output));
            var saving = hot.SaveAsync(StateSample.Loader, Output);
            Assert.False(saving.IsCompleted);
            pause.GoOn();

            Assert.True((await reloading).IsWhole);
            await saving;
            await AssertSavedAsync(2);
        }
    }

    [Fact]
    public async Task Reload_WhileTheModelIsSaved_WaitsForTheSaveAndReadersDoNot()
    {
        await using var first = await OpenAsync(1);
        await using var second = await OpenAsync(2);
        var (hot, _) = await LoadAsync(first);
        await using (hot)
        {
            using var pause = new Pause();
            var saving = Task.Run(() => hot.SaveAsync(StateSample.Loader, Output, null, pause));
            await pause.Reached;
            var reloading = hot.ReloadAsync(second);
            Assert.False(reloading.IsCompleted);
            using (var lease = await hot.LeaseAsync("layers.0"))
            {
                Assert.Equal(HotModel.FirstVersion, lease.Version);
            }

            pause.GoOn();
            await saving;
            Assert.True((await reloading).IsWhole);
            await AssertSavedAsync(1);
        }
    }

    [Fact]
    public async Task Save_DisposedModel_IsRefused()
    {
        await using var first = await OpenAsync(1);
        var (hot, _) = await LoadAsync(first);
        await hot.DisposeAsync();
        await Assert.ThrowsAsync<ObjectDisposedException>(() => hot.SaveAsync(StateSample.Loader, Output));
        Assert.False(Directory.Exists(Output));
    }

    private async Task AssertSavedAsync(byte version)
    {
        using var fresh = Make();
        await StateSample.Loader.LoadAsync(fresh, Output);
        Assert.Equal(["layers.0.weight", "layers.1.weight"], fresh.NamedState().Select(entry => entry.Name));
        Assert.All(fresh.NamedState(), entry => Assert.Equal(Enumerable.Repeat(version, 64), StateSample.Bytes(entry.Tensor)));
    }

    private static Module Make()
    {
        var model = new Module();
        var list = model.Register("layers", new Module());
        for (var i = 0; i < 2; i++)
        {
            list.Register($"{i}", new Module()).Register("weight", new Parameter(DType.U8, new Shape(64)));
        }

        return model;
    }

    private static async Task<Checkpoint> OpenAsync(byte version)
    {
        var file = new SafetensorsBuilder();
        for (var i = 0; i < 2; i++)
        {
            file.Add($"layers.{i}.weight", "U8", [64], [.. Enumerable.Repeat(version, 64)]);
        }

        return await Checkpoint.OpenAsync(new MemorySource(file.ToBytes(), $"version {version}"));
    }

    private static async Task<(HotModel Hot, Module Model)> LoadAsync(Checkpoint checkpoint)
    {
        var model = Make();
        var reloader = ModelReloader.Capture(model, DType.F32);
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint, new ModuleLoadOptions { Load = new LoadOptions { Device = new HostDevice() } }));
        reloader.Attach();
        return (new HotModel(model, reloader), model);
    }

    // Stops at the first piece until it is told to go on.
    private sealed class Pause : IProgress<LoadProgress>, IDisposable
    {
        private readonly TaskCompletionSource _reached = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ManualResetEventSlim _goOn = new();

        public Task Reached => _reached.Task;

        public void GoOn() => _goOn.Set();

        public void Report(LoadProgress value)
        {
            _reached.TrySetResult();
            _goOn.Wait();
        }

        // Whoever still waits goes on where a test fails.
        public void Dispose() => _goOn.Set();
    }
}
