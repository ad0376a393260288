using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A module's own parameters and buffers by their names, in the order in which they were registered. Owned by the module that has them.</summary>
internal sealed class ModuleTensors
{
    /// <summary>The parameters.</summary>
    public OrderedDictionary<string, Parameter> Parameters { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether new weights are loaded into them while the module's live ones are elsewhere. Default: false.</summary>
    public bool AreBesideLive { get; init; }

    /// <summary>The buffers.</summary>
    public OrderedDictionary<string, Tensor> Buffers { get; } = new(StringComparer.Ordinal);
}
