using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading.Tests;

/// <summary>A model that was loaded and processed, and can be reloaded; and what its tensors must be, by loading a fresh one.</summary>
internal sealed class LiveSample : IDisposable
{
    private readonly ModelContext _context;

    private LiveSample(ModelContext context, Device device, Module model)
    {
        (_context, Device, Model) = (context, device, model);
        Reloader = ModelReloader.Capture(model, context.DType, context.Parallel);
    }

    public Device Device { get; }

    public Module Model { get; }

    public ModelReloader Reloader { get; }

    /// <summary>Loads a model of a family.</summary>
    /// <param name="architecture">The family.</param>
    /// <param name="checkpoint">The weights.</param>
    /// <param name="device">Where to; null for a host of its own.</param>
    /// <param name="quantization">What unquantised weights become after the load; null for nothing.</param>
    /// <param name="world">The ranks.</param>
    /// <param name="rank">The rank.</param>
    public static async Task<LiveSample> LoadAsync(string architecture, Checkpoint checkpoint, Device? device = null, string? quantization = null, int world = 1, int rank = 0)
    {
        var context = new ModelContext { Config = RanksSample.ConfigOf(architecture), DType = DType.BF16, Parallel = new TensorParallel(world, rank) }.WithQuantization(quantization);
        var sample = new LiveSample(context, device ?? new HostDevice(), ModelInitializer.Initialize(context));
        await LoadAsync(sample.Model, checkpoint, sample.Device, context.DType);
        sample.Reloader.Attach();
        return sample;
    }

    /// <summary>What the tensors are of a model that is loaded from a checkpoint for the first time, by name.</summary>
    public async Task<Dictionary<string, byte[]>> ExpectedAsync(Checkpoint checkpoint)
    {
        using var fresh = ModelInitializer.Initialize(_context);
        await LoadAsync(fresh, checkpoint, HostDevice.Shared, _context.DType);
        return Read(fresh);
    }

    /// <summary>The bytes of the live tensors by name.</summary>
    public Dictionary<string, byte[]> Read() => Read(Model);

    /// <summary>Where the live tensors are.</summary>
    public Dictionary<string, (DeviceMemory Memory, long Offset)> Places() =>
        Model.NamedState().Where(entry => entry.Tensor.Device.Kind != DeviceKind.Meta).ToDictionary(entry => entry.Name, entry => (entry.Tensor.Memory, entry.Tensor.ByteOffset));

    public void Dispose()
    {
        Reloader.Dispose();
        Model.Dispose();
    }

    private static Dictionary<string, byte[]> Read(Module model) =>
        model.NamedState().Where(entry => entry.Tensor.Device.Kind != DeviceKind.Meta).ToDictionary(entry => entry.Name, entry => LateDevice.Read(entry.Tensor));

    private static async Task LoadAsync(Module model, Checkpoint checkpoint, Device device, DType dtype)
    {
        var options = new ModuleLoadOptions { Load = new LoadOptions { Device = device } };
        await new ModuleLoader().LoadAsync(new ModuleLoader().Plan(model, checkpoint, options));
        WeightProcessing.Run(model, dtype, device);
    }
}
