namespace IlgpuLoader.Loading;

/// <summary>A row of an architecture's table: the names of a module, to which <c>.weight</c> and <c>.bias</c> are added.</summary>
/// <param name="Gguf">The name in the GGUF.</param>
/// <param name="Checkpoint">The name in the checkpoint; <c>{model}</c> is the prefix of the model without its head.</param>
/// <param name="OfWeight">What is done to the weight.</param>
/// <param name="OfBias">What is done to the bias.</param>
/// <param name="IsOlder">Whether an older converter wrote this name, so that the way back prefers the other.</param>
internal sealed record NameRow(
    string Gguf, string Checkpoint, RowTransform OfWeight = RowTransform.None, RowTransform OfBias = RowTransform.None, bool IsOlder = false);
