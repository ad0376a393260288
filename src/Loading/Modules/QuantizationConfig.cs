using System.Collections.Immutable;

namespace IlgpuLoader.Loading;

/// <summary>
/// How a model's weights are quantised, as its configuration says: which method a layer gets, and which of the modules that the model packs are meant by the names that the
/// configuration has. The counterpart of vLLM's class of that name. Not safe for several threads while a model is built.
/// </summary>
public abstract class QuantizationConfig
{
    /// <summary>The method's name, such as <c>gptq</c>.</summary>
    public abstract string Name { get; }

    /// <summary>
    /// Packed modules and the parts they pack, such as <c>qkv_proj</c> of <c>q_proj</c>, <c>k_proj</c> and <c>v_proj</c>: the model's own table, by reference, so that what the model changes while it is
    /// built is seen here.
    /// </summary>
    public IReadOnlyDictionary<string, ImmutableArray<string>> PackedModules { get; set; } = ImmutableDictionary<string, ImmutableArray<string>>.Empty;

    /// <summary>
    /// Changes the names of modules that the configuration has, such as those it leaves out, as the model changes those of its weights: vLLM's <c>apply_vllm_mapper</c>. Here: there are none.
    /// </summary>
    /// <param name="map">Gives a name the model's form.</param>
    public virtual void MapNames(Func<string, string> map)
    {
    }

    /// <summary>Whether names were changed to a model's: once is enough, for any number of models of one kind.</summary>
    internal bool HasMappedNames { get; set; }

    /// <summary>How a layer's weights are stored.</summary>
    /// <param name="layer">The layer, before its parameters are made.</param>
    /// <param name="prefix">Its full name.</param>
    /// <returns>The method, or null where the layer is not quantised.</returns>
    public abstract IQuantizeMethod? MethodFor(Module layer, string prefix);
}
