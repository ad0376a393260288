namespace IlgpuLoader.Formats;

/// <summary>
/// One opened file of a checkpoint. Owned by its <see cref="Checkpoint"/>, which disposes the source; safe for
/// parallel readers.
/// </summary>
/// <param name="name">The base name, as an index or a listing shows it.</param>
/// <param name="path">The path or other address used in messages.</param>
/// <param name="format">The container format, such as <c>safetensors</c>.</param>
/// <param name="source">Where its bytes come from.</param>
public sealed class CheckpointFile(string name, string path, string format, IByteSource source)
{
    /// <summary>The base name, as an index or a listing shows it.</summary>
    public string Name { get; } = name;

    /// <summary>The path or other address used in messages.</summary>
    public string Path { get; } = path;

    /// <summary>The container format, such as <c>safetensors</c>.</summary>
    public string Format { get; } = format;

    /// <summary>Where its bytes come from.</summary>
    public IByteSource Source { get; } = source;

    /// <summary>
    /// What the file's header says beyond tensors and metadata, in the type of its format: a <see cref="Gguf.GgufHeader"/>
    /// or a <see cref="Torch.TorchHeader"/>; null for formats that have no more to say.
    /// </summary>
    public object? Header { get; init; }

    /// <summary>The size of the file in bytes, as it was when it was opened.</summary>
    /// <remarks>The source may go on behind it with what a file holds in another form, such as arrays that are compressed.</remarks>
    public long Length { get; init; } = source.Length;

    /// <summary>The checksums that the file has of its own records; null for formats that have none.</summary>
    internal IRecordChecksums? Checksums { get; init; }

    /// <summary>The path.</summary>
    public override string ToString() => Path;
}
