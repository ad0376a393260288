namespace IlgpuLoader.Formats.Safetensors;

/// <summary>A tensor that is to be written: name, type and shape; the bytes come later.</summary>
/// <param name="Name">The name; any text without NUL but not <c>__metadata__</c>.</param>
/// <param name="DType">One of the 22 safetensors types.</param>
/// <param name="Shape">The dimensions, outermost first, in logical elements for types smaller than a byte.</param>
public sealed record SafetensorsTensor(string Name, DType DType, Shape Shape);
