namespace IlgpuLoader.Loading;

/// <summary>The GGUF tensor that a tensor of the checkpoint is made from.</summary>
/// <param name="GgufName">Its name in the GGUF.</param>
/// <param name="Transform">What makes the checkpoint's tensor from it; <see cref="WeightTransform.Inverse"/> goes back.</param>
public sealed record NameMapSource(string GgufName, WeightTransform Transform);
