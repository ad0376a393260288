namespace IlgpuLoader.Loading;

/// <summary>A tensor of the checkpoint that a GGUF does not store, since it is the same as another.</summary>
/// <param name="Name">The tensor, such as <c>lm_head.weight</c>.</param>
/// <param name="TiedTo">The tensor that it is, such as <c>model.embed_tokens.weight</c>.</param>
public sealed record NameTie(string Name, string TiedTo);
