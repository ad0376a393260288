using IlgpuLoader.Formats;

namespace IlgpuLoader.TestKit;

/// <summary>What a tensor of a golden file must come out as.</summary>
/// <param name="DType">The type of its elements.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Bytes">Its elements in row-major order, lowest byte first.</param>
public sealed record GoldenTensor(DType DType, Shape Shape, byte[] Bytes);
