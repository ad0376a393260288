namespace IlgpuLoader.Formats.Gguf;

/// <summary>An entry whose place in the file is known to be right.</summary>
/// <param name="Entry">The entry.</param>
/// <param name="DType">Its type.</param>
/// <param name="Offset">Where its data begins, in bytes from the start of the file.</param>
/// <param name="ByteLength">The size of its data in bytes.</param>
internal readonly record struct GgufPlaced(GgufEntry Entry, DType DType, long Offset, long ByteLength);
