using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A linear layer: its features, the dtype it computes with, and the parameters that its method registers. Shapes are [outputs, inputs].</summary>
public class LinearLayer : Module
{
    /// <summary>Makes the layer, and its parameters on the meta device.</summary>
    /// <param name="layout">The features and this rank's share.</param>
    /// <param name="dtype">The dtype that it computes with.</param>
    /// <param name="quantization">How the model is quantised; null where it is not.</param>
    /// <param name="prefix">The full name, which a quantisation chooses the method by.</param>
    /// <param name="hasBias">Whether there is a bias.</param>
    public LinearLayer(LinearLayout layout, DType dtype, QuantizationConfig? quantization = null, string prefix = "", bool hasBias = false)
    {
        ArgumentNullException.ThrowIfNull(layout);
        (Layout, DType, Prefix, HasBias) = (layout, dtype, prefix, hasBias);
        QuantizeMethod = quantization?.MethodFor(this, prefix);
        if (QuantizeMethod is { } method)
        {
            method.CreateWeights(this);
        }
        else
        {
            Register("weight", new Parameter(dtype, new Shape(layout.OutputSizePerRank, layout.InputSizePerRank), WeightLoaders.Linear(layout, ParameterAxes.Weight)) { Conversion = ParameterConversion.FromFloats });
        }

        if (hasBias)
        {
            // Added once: behind a row-parallel layer each rank has all of it.
            Register("bias", new Parameter(dtype, new Shape(layout.OutputSizePerRank), WeightLoaders.Linear(layout, ParameterAxes.Bias)));
        }
    }

    /// <summary>The features and this rank's share.</summary>
    public LinearLayout Layout { get; }

    /// <summary>The dtype that the layer computes with.</summary>
    public DType DType { get; }

    /// <summary>Whether there is a bias: a parameter that is registered behind those of the method.</summary>
    public bool HasBias { get; }

    /// <summary>The full name.</summary>
    public string Prefix { get; }
}
