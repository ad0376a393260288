using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>
/// An attention module that makes something of weights after their load, as multi-head latent attention takes its projections apart. It comes after all other modules, whose weights are
/// then what they stay.
/// </summary>
public interface IAttention
{
    /// <summary>Processes weights after their load.</summary>
    /// <param name="dtype">The dtype that the model computes with.</param>
    void ProcessWeightsAfterLoading(DType dtype);
}
