using System.Collections.Immutable;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// A model's tensors as its weights are loaded into them, before quantisation methods make others of them, captured from a model that was just made. Owns what was captured. Not safe for several
/// threads.
/// </summary>
internal sealed class CapturedModel : IDisposable
{
    private readonly List<(Module Module, CapturedLayer Captured)> _modules = [];

    // Of buffers that have them before the first load: what models compute beside weights, which is little.
    private readonly Dictionary<(Module Module, string Name), Tensor> _values = [];

    // The places of each parameter that has several; a copy of each module by itself would part them.
    private ImmutableArray<ImmutableArray<(Module Module, string Name)>> _shared = [];

    private CapturedModel()
    {
    }

    /// <summary>The modules whose tensors are captured, in the model's order; those to be skipped (<see cref="MetaTensors.SkipModules"/>) are not among them.</summary>
    public IEnumerable<Module> Modules => _modules.Select(entry => entry.Module);

    /// <summary>The modules that have one parameter together when weights are loaded, whatever processing makes of it.</summary>
    public IEnumerable<IEnumerable<Module>> Shared => _shared.Select(places => places.Select(place => place.Module));

    /// <summary>Captures every module of a model.</summary>
    /// <param name="model">The model, on the meta device; stays the caller's.</param>
    public static CapturedModel Of(Module model)
    {
        var captured = new CapturedModel();
        try
        {
            var modules = model.NamedModules().Select(entry => entry.Module).Where(module => !MetaTensors.SkipModules.Contains(module.ClassName)).ToList();
            foreach (var module in modules)
            {
                captured._modules.Add((module, MetaTensors.CaptureLayerToMeta(module)));
                foreach (var (name, buffer) in module.Buffers.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key) && entry.Value.Device.Kind != DeviceKind.Meta))
                {
                    captured._values.Add((module, name), buffer.To(buffer.Device));
                }
            }

            captured._shared =
            [
                .. modules
                    .SelectMany(module => module.Parameters.Where(entry => !MetaTensors.SkipTensors.Contains(entry.Key)).Select(entry => (module, entry.Key, entry.Value)))
                    .GroupBy(entry => entry.Value, ReferenceEqualityComparer.Instance)
                    .Select(places => places.Select(place => (place.module, place.Key)).ToImmutableArray())
                    .Where(places => places.Length > 1),
            ];
            return captured;
        }
        catch
        {
            captured.Dispose();
            throw;
        }
    }

    /// <summary>The values that a buffer had before the first load; null where it had none. Stays this one's.</summary>
    public Tensor? ValuesOf(Module module, string name) => _values.GetValueOrDefault((module, name));

    /// <summary>Makes the tensors that weights are loaded into, on the meta device; the modules keep those that they have.</summary>
    /// <returns>Tensors to exchange with the modules' own, which the caller disposes.</returns>
    public LoadingTensors MakeLoading()
    {
        var loading = new LoadingTensors();
        try
        {
            foreach (var (module, captured) in _modules)
            {
                loading.Add(module, Restore(module, captured));
            }

            foreach (var places in _shared)
            {
                loading.Share(places);
            }

            return loading;
        }
        catch
        {
            loading.Dispose();
            throw;
        }
    }

    /// <summary>Frees what was captured.</summary>
    public void Dispose()
    {
        foreach (var (_, captured) in _modules)
        {
            captured.Dispose();
        }

        foreach (var values in _values.Values)
        {
            values.Dispose();
        }
    }

    private static ModuleTensors Restore(Module module, CapturedLayer captured)
    {
        // Tensors that are never loaded are the same ones at all times.
        var fresh = new ModuleTensors { AreBesideLive = true };
        foreach (var (name, parameter) in module.Parameters.Where(entry => MetaTensors.SkipTensors.Contains(entry.Key)))
        {
            fresh.Parameters.Add(name, parameter);
        }

        foreach (var (name, buffer) in module.Buffers.Where(entry => MetaTensors.SkipTensors.Contains(entry.Key)))
        {
            fresh.Buffers.Add(name, buffer);
        }

        var live = module.Exchange(fresh);
        try
        {
            // Nothing is taken out: the tensors that are skipped are all that the module has now.
            MetaTensors.RestoreLayerOnMeta(module, captured).Dispose();
        }
        finally
        {
            fresh = module.Exchange(live);
        }

        return fresh;
    }
}
