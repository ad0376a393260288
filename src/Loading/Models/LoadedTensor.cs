using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>A tensor that has arrived. The consumer owns it and disposes it.</summary>
/// <param name="Name">The name in the checkpoint.</param>
/// <param name="Tensor">The tensor.</param>
public readonly record struct LoadedTensor(string Name, Tensor Tensor);
