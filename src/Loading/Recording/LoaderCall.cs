using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>A loader that asks for values, to be run again when they are there.</summary>
/// <param name="Target">The parameter, and which part of it the weight is.</param>
/// <param name="Name">The weight's name.</param>
/// <param name="Info">The tensor it is made of.</param>
/// <param name="Transform">What makes it.</param>
internal sealed record LoaderCall(WeightTarget Target, string Name, TensorInfo Info, WeightTransform Transform);
