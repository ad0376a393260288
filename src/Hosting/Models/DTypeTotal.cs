namespace IlgpuLoader.Hosting;

/// <summary>What a model has of one dtype.</summary>
/// <param name="DType">The dtype's name, such as <c>BF16</c>.</param>
/// <param name="Tensors">The number of tensors.</param>
/// <param name="Bytes">Their bytes; memory that several tensors share is counted for each.</param>
public readonly record struct DTypeTotal(string DType, int Tensors, long Bytes);
