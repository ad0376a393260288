namespace IlgpuLoader.Formats;

/// <summary>
/// One container format: how its files are recognised and their headers read. Every format has its own folder with its
/// reader, limits and, where there is one, writer; <see cref="FormatDetector"/> holds the list of them.
/// </summary>
internal abstract class CheckpointFormat
{
    /// <summary>The format's name in messages and listings.</summary>
    public abstract string Name { get; }

    /// <summary>The formats that it reads, by the names that users know.</summary>
    public virtual IReadOnlyList<string> FormatNames => [Name];

    /// <summary>
    /// The endings of its files' names, best first: which files of a folder are looked at, and which format explains a file
    /// that none recognises.
    /// </summary>
    public abstract IReadOnlyList<string> Extensions { get; }

    /// <summary>Whether the first bytes of a file are those of this format.</summary>
    /// <param name="head">The first bytes, as many as the file has, up to 512.</param>
    public abstract bool Matches(ReadOnlySpan<byte> head);

    /// <summary>Reads and validates the header; reads no tensor byte.</summary>
    /// <param name="file">The file.</param>
    /// <param name="head">The first bytes, as <see cref="Matches"/> saw them.</param>
    /// <param name="cancellationToken">Cancels the reading.</param>
    /// <exception cref="CheckpointException">The file breaks a rule of the format.</exception>
    public abstract ValueTask<FileContent> ReadAsync(
        CheckpointFile file, ReadOnlyMemory<byte> head, CancellationToken cancellationToken);
}
