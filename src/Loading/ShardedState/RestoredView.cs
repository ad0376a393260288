using System.Collections.Immutable;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Loading;

/// <summary>How a tensor of a saved state lay in its memory.</summary>
/// <param name="Name">Its name.</param>
/// <param name="DType">Its element type.</param>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Strides">Its strides, in elements or blocks; default for row-major.</param>
/// <param name="ByteOffset">Where its first element is, in bytes from the start of the memory.</param>
internal sealed record RestoredView(string Name, DType DType, Shape Shape, ImmutableArray<long> Strides, long ByteOffset);
