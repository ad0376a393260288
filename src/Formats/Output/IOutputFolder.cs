namespace IlgpuLoader.Formats;

/// <summary>A folder that is being written: each of its files is whole or not there, and the folder appears at once.</summary>
public interface IOutputFolder
{
    /// <summary>Where the folder will appear: the full path, a link at its end followed.</summary>
    string Path { get; }

    /// <summary>Begins a file of the folder. <see cref="AtomicFile.CommitAsync"/> forces its bytes to disk.</summary>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="length">The size in bytes if it is known: the space is then taken now.</param>
    /// <returns>The file, which is the caller's to dispose.</returns>
    /// <exception cref="ArgumentException">The name is no base name, or is another file's.</exception>
    /// <exception cref="IOException">The file cannot be made, or the disk is full. The message begins with the path.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be written to.</exception>
    /// <exception cref="ObjectDisposedException">The folder was committed or disposed.</exception>
    AtomicFile CreateFile(string name, long length = 0);

    /// <summary>Writes a whole small file of the folder.</summary>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="content">Its bytes; they stay the caller's.</param>
    /// <param name="cancellationToken">Ends the work; the folder is then without this file.</param>
    /// <inheritdoc cref="CreateFile" path="/exception"/>
    Task WriteAllBytesAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken = default);
}
