namespace IlgpuLoader.Formats.Gguf;

/// <summary>One tensor of a header as it was parsed: type and offset are not validated yet.</summary>
/// <param name="Name">The tensor's name.</param>
/// <param name="TypeId">The number of its type.</param>
/// <param name="Shape">The dimensions, outermost first.</param>
/// <param name="Offset">Where its data begins, in bytes from the start of all data.</param>
/// <param name="Position">Where the entry begins in the file, for messages.</param>
internal sealed record GgufEntry(string Name, int TypeId, Shape Shape, ulong Offset, long Position);
