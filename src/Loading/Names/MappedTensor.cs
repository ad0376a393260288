using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A tensor of the checkpoint that a GGUF file holds.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Shape">Its shape in the checkpoint.</param>
/// <param name="GgufName">The GGUF tensor that it is made from.</param>
/// <param name="GgufShape">The shape of that tensor.</param>
/// <param name="Transform">What makes it.</param>
public sealed record MappedTensor(string Name, Shape Shape, string GgufName, Shape GgufShape, WeightTransform Transform);
