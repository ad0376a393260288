namespace IlgpuLoader.Loading;

/// <summary>
/// A layer that projects queries from one sequence and keys and values from another, whose two projections are on purpose no modules of its own (vLLM's
/// <c>QKVCrossParallelLinear</c>): it processes its weights itself, before those of all others, and no quantisation method is asked.
/// </summary>
public interface ICrossAttentionProjection
{
    /// <summary>Processes the weights after their load.</summary>
    void ProcessWeightsAfterLoading();
}
