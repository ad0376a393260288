using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// How stored numbers and the tensors beside them (scales, zero points) stand for the values of a matrix. Values are computed in F32 and rounded once more, to nearest even, where
/// the result is smaller; every device comes to the same bits. Immutable.
/// </summary>
public abstract record QuantizationScheme
{
    // The scalar bodies know each scheme.
    private protected QuantizationScheme()
    {
    }

    /// <summary>The shape of the values that a stored matrix stands for: [outputs, inputs].</summary>
    /// <param name="payload">The shape of the stored matrix.</param>
    /// <exception cref="ArgumentException">It has not two dimensions.</exception>
    public abstract Shape ResultShape(Shape payload);

    private protected static void CheckMatrix(Shape payload)
    {
        if (payload.Rank != 2)
        {
            throw new ArgumentException($"What is dequantised is a matrix, and {payload} is none.", nameof(payload));
        }
    }
}
