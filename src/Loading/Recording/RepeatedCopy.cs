namespace IlgpuLoader.Loading;

/// <summary>A place whose elements are those of another that is read: one range of a file serves both.</summary>
/// <param name="From">What is read.</param>
/// <param name="To">What is copied from it, in the same shape.</param>
internal sealed record RepeatedCopy(ParameterPlace From, ParameterPlace To);
