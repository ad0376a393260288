using System.Collections.Immutable;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Hosting;

/// <summary>Loads the parameters of an architecture into a live model, whose weights are replaced in place.</summary>
internal abstract class LayoutResidentLoader(HostedModelSettings settings, Func<Device> device, WarningLog warnings, TimeProvider time) : ResidentLoader
{
    /// <summary>What is loaded.</summary>
    protected HostedModelSettings Settings => settings;

    /// <summary>Where warnings go.</summary>
    protected WarningLog Warnings => warnings;

    /// <inheritdoc/>
    protected override string WeightsPath => settings.WeightsPath;

    /// <summary>How files are read, onto the device.</summary>
    protected LoadOptions LoadOnto(Device target) => settings.Load with { Device = target };

    /// <summary>Opens the device.</summary>
    protected Device OpenDevice() => device();

    /// <summary>What a model is made of.</summary>
    /// <param name="config">Its configuration.</param>
    protected ModelContext ContextOf(ModelConfig config) => new()
    {
        Config = config,
        Parallel = settings.Parallel ?? new TensorParallel(1, 0),
        Implementation = settings.Options.Implementation,
        Warnings = warnings,
    };

    /// <summary>Fills a model and takes it live; whatever fails, nothing of it stays.</summary>
    /// <param name="context">What it is made of.</param>
    /// <param name="target">The device.</param>
    /// <param name="format">The files' format.</param>
    /// <param name="versionsBefore">The hosted model's version before.</param>
    /// <param name="fill">Loads and processes the weights.</param>
    protected async Task<ResidentModel> MakeAsync(ModelContext context, Device target, string format, long versionsBefore, Func<Module, Task> fill)
    {
        var module = ModelInitializer.Initialize(context);
        ModelReloader? reloader = null;
        try
        {
            reloader = ModelReloader.Capture(module, context.DType, context.Parallel);
            await fill(module).ConfigureAwait(false);
            reloader.Attach(target);
            var tensors = StateOf(module);
            var bytes = reloader.Layers.Sum(layer => layer.ByteLength);
            return new HotResident(settings.Name, new HotModel(module, reloader, settings.Hot(time)), versionsBefore)
            {
                Tensors = tensors,
                MemoryBytes = bytes,
                Device = target,
                Format = format,
            };
        }
        catch
        {
            reloader?.Dispose();
            module.Dispose();
            throw;
        }
    }

    private static ImmutableArray<HostedTensor> StateOf(Module module) =>
    [
        .. module.NamedState()
            .Where(entry => entry.Tensor.Device.Kind != DeviceKind.Meta)
            .Select(entry => new HostedTensor(entry.Name, entry.Tensor.DType, entry.Tensor.Shape, entry.Tensor.ByteLength)),
    ];
}
