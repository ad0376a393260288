using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;

namespace IlgpuLoader.Harness;

/// <summary>A checkpoint's model in its architecture's layout, on the host, as scenarios lay it out, load it and measure it.</summary>
internal static class LaidOutModel
{
    /// <summary>How bytes are read: the files are in the page cache.</summary>
    public static LoadOptions Load { get; } = new() { Device = HostDevice.Shared, ReadMode = ReadMode.Buffered };

    /// <summary>The model of a rank, without values.</summary>
    public static Module Make(ModelConfig config, TensorParallel parallel) => ModelInitializer.Initialize(new ModelContext { Config = config, Parallel = parallel });

    /// <summary>Lays out, records, loads and processes the model of a rank.</summary>
    /// <param name="checkpoint">The checkpoint.</param>
    /// <param name="parallel">The rank.</param>
    /// <param name="prepare">What is done with the model before it has values; null for nothing.</param>
    /// <param name="cancellationToken">Ends the load within the time of one slot.</param>
    /// <returns>The model, which is the caller's, and what was read and why.</returns>
    public static async Task<(Module Module, ModulePlan Plan)> LoadAsync(
        Checkpoint checkpoint, TensorParallel parallel, Action<Module>? prepare, CancellationToken cancellationToken)
    {
        var module = Make(checkpoint.Config!, parallel);
        try
        {
            prepare?.Invoke(module);
            var loader = new ModuleLoader();
            var plan = loader.Plan(module, checkpoint, new ModuleLoadOptions { Load = Load }, cancellationToken);
            await loader.LoadAsync(plan, null, cancellationToken);
            WeightProcessing.Run(module, DType.BF16, HostDevice.Shared, cancellationToken);
            return (module, plan);
        }
        catch
        {
            module.Dispose();
            throw;
        }
    }
}
