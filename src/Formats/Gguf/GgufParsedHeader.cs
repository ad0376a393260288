namespace IlgpuLoader.Formats.Gguf;

/// <summary>A parsed header.</summary>
/// <param name="Version">The version of the format.</param>
/// <param name="IsBigEndian">Whether the highest byte of numbers comes first.</param>
/// <param name="Metadata">The metadata in the order of the file.</param>
/// <param name="Entries">The tensors in the order of the file.</param>
/// <param name="Length">The size of all this in bytes, without padding.</param>
/// <param name="Warnings">What is odd but valid, in sentences.</param>
internal sealed record GgufParsedHeader(
    int Version,
    bool IsBigEndian,
    OrderedDictionary<string, object> Metadata,
    IReadOnlyList<GgufEntry> Entries,
    long Length,
    IReadOnlyList<string> Warnings);
