namespace IlgpuLoader.Formats;

/// <summary>Where the bytes of a tensor go in a file that is written.</summary>
/// <param name="Name">The tensor.</param>
/// <param name="Offset">Where they begin, in bytes from the start of the file.</param>
/// <param name="ByteLength">How many there are.</param>
internal readonly record struct TensorRegion(string Name, long Offset, long ByteLength);
