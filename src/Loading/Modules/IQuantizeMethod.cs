using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>
/// How the parameters of one kind of layer are stored and made usable: it registers the parameters that the checkpoint has, and turns them into what the
/// layer computes with when they are there. The counterpart of vLLM's <c>QuantizeMethodBase</c>.
/// </summary>
public interface IQuantizeMethod
{
    /// <summary>Registers the layer's parameters, on the meta device, with their loaders.</summary>
    /// <param name="layer">The layer.</param>
    void CreateWeights(Module layer);

    /// <summary>
    /// Repacks, dequantises or replaces the layer's parameters after their last weight. On the target device: its parameters are there.
    /// </summary>
    /// <param name="layer">The layer.</param>
    /// <param name="device">The target device.</param>
    void ProcessWeightsAfterLoading(Module layer, Device device);
}
