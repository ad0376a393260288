namespace IlgpuLoader.Loading;

/// <summary>How a layer is quantised with GPTQ. Immutable.</summary>
/// <param name="Bits">The bits of a number.</param>
/// <param name="GroupSize">The inputs of a group; -1 for all.</param>
/// <param name="HasActivationOrder">Whether inputs were quantised in the order of their activations (<c>desc_act</c>), so that a group's are anywhere.</param>
/// <param name="ZeroOffset">What is added to a stored zero point: 1, or 0 in <c>gptq_v2</c>.</param>
public sealed record GptqSettings(int Bits, int GroupSize, bool HasActivationOrder, int ZeroOffset = 1);
