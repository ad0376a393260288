namespace IlgpuLoader.Loading;

/// <summary>A place in a parameter that gets one value.</summary>
/// <param name="Place">The place.</param>
/// <param name="Element">The bytes of an element.</param>
internal sealed record RecordedFill(ParameterPlace Place, ReadOnlyMemory<byte> Element);
