namespace IlgpuLoader.Formats;

/// <summary>
/// Where the files of a checkpoint lie beside one another: a local folder, a repository at a revision, a prefix of an object storage. Files are named by base names, without a path. Safe for any thread.
/// </summary>
public interface ICheckpointPlace
{
    /// <summary>The path or address, for messages.</summary>
    string Name { get; }

    /// <summary>How many files are worth opening at the same time: as many as there are cores where opening is work, more where it is waiting. At least 1.</summary>
    int ParallelOpens { get; }

    /// <summary>Whether <see cref="ListAsync"/> gives all files; false where only those of usual names can be found, as HTTP lists nothing. Default: true.</summary>
    bool ListsAll => true;

    /// <summary>The path or address of a file here, for messages; it need not exist.</summary>
    /// <param name="name">A base name.</param>
    string PathOf(string name);

    /// <summary>The base names of the files that lie directly here, in any order; those of folders are not among them.</summary>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="IOException">They cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">They may not be listed.</exception>
    ValueTask<IReadOnlyList<string>> ListAsync(CancellationToken cancellationToken = default);

    /// <summary>Whether there is a file of this base name.</summary>
    /// <param name="name">A base name.</param>
    /// <param name="cancellationToken">Ends the asking.</param>
    /// <exception cref="IOException">That cannot be told.</exception>
    ValueTask<bool> ExistsAsync(string name, CancellationToken cancellationToken = default);

    /// <summary>
    /// Says which files are going to be opened: a place that has to copy files before it opens them copies these at once, and no others. Without it each is copied when it is opened. Default: does nothing.
    /// </summary>
    /// <param name="names">Base names; those of files that are not here are passed over.</param>
    /// <param name="cancellationToken">Ends the copying.</param>
    /// <exception cref="IOException">A file cannot be copied.</exception>
    /// <exception cref="UnauthorizedAccessException">A file may not be copied.</exception>
    ValueTask PrepareAsync(IReadOnlyCollection<string> names, CancellationToken cancellationToken = default) => ValueTask.CompletedTask;

    /// <summary>Opens a file.</summary>
    /// <param name="name">A base name.</param>
    /// <param name="cancellationToken">Ends the opening.</param>
    /// <returns>The file, whose source the caller disposes; its <see cref="IByteSource.Name"/> is <see cref="PathOf"/>.</returns>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    ValueTask<IByteSource> OpenAsync(string name, CancellationToken cancellationToken = default);
}
