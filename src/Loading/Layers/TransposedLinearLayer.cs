using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// A linear layer whose weight the checkpoint has as [inputs, outputs], as <c>Conv1D</c> of transformers does. The parameter is [outputs, inputs] as in every linear layer: the
/// loader exchanges the dimensions. What a quantisation stores in its place is not turned round.
/// </summary>
public sealed class TransposedLinearLayer : LinearLayer
{
    /// <inheritdoc cref="LinearLayer(LinearLayout, DType, QuantizationConfig, string, bool)"/>
    public TransposedLinearLayer(LinearLayout layout, DType dtype, QuantizationConfig? quantization = null, string prefix = "", bool hasBias = false)
        : base(layout, dtype, quantization, prefix, hasBias)
    {
        if (QuantizeMethod is null && Parameters.TryGetValue("weight", out var parameter))
        {
            parameter.Loader = WeightLoaders.Transposed(parameter.Loader);
        }
    }
}
