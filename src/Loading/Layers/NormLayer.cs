using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>The scale of a normalisation, as it is stored, and its shift: [size] each. Every rank has all of it.</summary>
public sealed class NormLayer : Module
{
    /// <summary>Makes the layer, and its parameters on the meta device.</summary>
    /// <param name="size">The features that are normalised.</param>
    /// <param name="dtype">The dtype.</param>
    /// <param name="hasBias">Whether there is a shift, as LayerNorm has it and RMSNorm has not.</param>
    public NormLayer(long size, DType dtype, bool hasBias = false)
    {
        Register("weight", new Parameter(dtype, new Shape(size)));
        if (hasBias)
        {
            Register("bias", new Parameter(dtype, new Shape(size)));
        }
    }
}
