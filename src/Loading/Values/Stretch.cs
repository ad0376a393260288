namespace IlgpuLoader.Loading;

/// <summary>What one worker reads at a time: some pieces of one tensor, in order.</summary>
/// <param name="Item">Which tensor, or pair of tensors, of a list.</param>
/// <param name="FirstElement">Where it begins, in elements.</param>
/// <param name="Elements">How many elements it has.</param>
internal readonly record struct Stretch(int Item, long FirstElement, long Elements);
