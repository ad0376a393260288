namespace IlgpuLoader.Loading;

/// <summary>
/// What is between the projections of a self-attention. It has no weights of its own, but where a quantisation stores keys and values in 8 bits: then their scales.
/// </summary>
public sealed class AttentionLayer : Module
{
    /// <summary>Makes the layer, and the parameters that its method registers on the meta device.</summary>
    /// <param name="quantization">How the model is quantised; null where it is not.</param>
    /// <param name="prefix">The full name, which a quantisation chooses the method by.</param>
    public AttentionLayer(QuantizationConfig? quantization = null, string prefix = "")
    {
        QuantizeMethod = quantization?.MethodFor(this, prefix);
        QuantizeMethod?.CreateWeights(this);
    }

    /// <inheritdoc/>
    public override string ClassName => "Attention";
}
