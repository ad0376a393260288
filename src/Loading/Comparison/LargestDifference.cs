namespace IlgpuLoader.Loading;

/// <summary>The place where two tensors differ most; of several, the first.</summary>
/// <param name="Element">The element's index in row-major order.</param>
/// <param name="Part">0, or 1 for the imaginary part of a complex number.</param>
/// <param name="Left">The first tensor's value there.</param>
/// <param name="Right">The second tensor's value there.</param>
/// <param name="Absolute">
/// The absolute difference, computed in doubles (of 64-bit integers exactly, then rounded); infinite where one of the two is, or
/// where it exceeds the doubles.
/// </param>
public sealed record LargestDifference(long Element, int Part, StoredValue Left, StoredValue Right, double Absolute);
