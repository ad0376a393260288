namespace IlgpuLoader.Loading;

/// <summary>A tensor of the checkpoint and how it is made from a GGUF tensor.</summary>
/// <param name="Name">The name in the checkpoint, such as <c>model.layers.{block}.self_attn.q_proj.weight</c>.</param>
/// <param name="Transform">What makes it.</param>
public sealed record NameMapTarget(string Name, WeightTransform Transform);
