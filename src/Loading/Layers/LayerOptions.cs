using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>What all layers of a model have in common. Immutable.</summary>
/// <param name="DType">The dtype that they compute with, and that parameters have which are not quantised.</param>
/// <param name="Parallel">The ranks that share them.</param>
/// <param name="Quantization">How the model is quantised; null where it is not.</param>
/// <param name="ExpertParallel">Whether ranks share the experts, and have theirs whole, and not a part of each expert.</param>
public sealed record LayerOptions(DType DType, TensorParallel Parallel, QuantizationConfig? Quantization = null, bool ExpertParallel = false);
