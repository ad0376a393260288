namespace IlgpuLoader.Formats.Numpy;

/// <summary>A tensor that is to be written as an array: name, type and shape; the bytes come later.</summary>
/// <param name="Name">The name: in an archive a relative path without <c>..</c>, whose levels are separated by <c>/</c>.</param>
/// <param name="DType">A type of whole bytes; those that NumPy lacks become bytes of their size.</param>
/// <param name="Shape">The dimensions, outermost first; at most 64, and NumPy before version 2 reads 32.</param>
public sealed record NumpyTensor(string Name, DType DType, Shape Shape);
