namespace IlgpuLoader.Formats.Safetensors;

/// <summary>One entry of a header as it was parsed: the offsets are not validated yet.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="DType">The stored type.</param>
/// <param name="Dimensions">The dimensions as the file gives them.</param>
/// <param name="Begin">The first byte, counted from the start of the data.</param>
/// <param name="End">The byte after the last, counted from the start of the data.</param>
internal sealed record SafetensorsEntry(string Name, DType DType, ulong[] Dimensions, ulong Begin, ulong End);

/// <summary>A parsed header.</summary>
/// <param name="Entries">The tensors in the order of the header.</param>
/// <param name="Metadata">The free-form strings (as objects, like any format's metadata) under <c>__metadata__</c>.</param>
internal sealed record SafetensorsHeader(SafetensorsEntry[] Entries, IReadOnlyDictionary<string, object> Metadata);
