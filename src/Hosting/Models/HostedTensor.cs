using IlgpuLoader.Formats;

namespace IlgpuLoader.Hosting;

/// <summary>A tensor of a hosted model, without its values. Immutable.</summary>
/// <param name="Name">Its name, by which it is found in a lease.</param>
/// <param name="DType">The dtype that it has on the device.</param>
/// <param name="Shape">Its shape there, outermost dimension first.</param>
/// <param name="Bytes">Its size there in bytes.</param>
public sealed record HostedTensor(string Name, DType DType, Shape Shape, long Bytes);
