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
            var load = parameter.Loader;
            parameter.Loader = (parameter, weight, shard) =>
            {
                if (weight.Shape.Rank != 2)
                {
                    throw new ModelMismatchException(
                        null,
                        [
                            $"tensor {Quoted.Name(weight.Name)} of shape {weight.Shape} does not fit parameter {Quoted.Name(parameter.Name)} of shape {parameter.Shape} "
                            + $"on rank {layout.Parallel.Rank} of {layout.Parallel.WorldSize}: it has to have two dimensions, inputs before outputs",
                        ]);
                }

                load(parameter, weight.Transpose(0, 1), shard);
            };
        }
    }
}
