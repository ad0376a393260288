namespace IlgpuLoader.Formats;

/// <summary>
/// A file that appears whole or not at all: it is written without a name (Linux) or under a hidden one in the same
/// folder, forced to disk, given its name, and the folder is forced to disk. Without <see cref="CommitAsync"/> nothing is
/// left behind; on Linux not even by a run that is killed, and elsewhere the next file of this name removes what such a
/// run left. A reader that has the old file open, mapped even, keeps the old bytes.
/// </summary>
/// <remarks>
/// Positional writes of disjoint ranges may run in parallel. The mode follows the umask, as for any new file. Where several
/// writers have one target, the last commit stands.
/// </remarks>
public sealed class AtomicFile : IAsyncDisposable
{
    private readonly UnfinishedFile _file;
    private readonly AtomicFolder? _folder;
    private readonly FileSystemCalls _calls;
    private bool _hasEnded;
    private bool _isDisposed;

    internal AtomicFile(string path, UnfinishedFile file, AtomicFolder? folder, FileSystemCalls calls)
    {
        Path = path;
        _file = file;
        _folder = folder;
        _calls = calls;
    }

    /// <summary>Where the file will appear.</summary>
    public string Path { get; }

    /// <summary>Begins a file; the target is not touched before <see cref="CommitAsync"/>.</summary>
    /// <param name="path">Where the file will appear; an existing file is replaced.</param>
    /// <param name="length">
    /// The size in bytes if it is known: the space is then taken now, so that a full disk is reported before the work.
    /// </param>
    /// <exception cref="IOException">The file cannot be made, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static AtomicFile Create(string path, long length = 0) => Create(path, length, FileSystemCalls.Native);

    internal static AtomicFile Create(string path, long length, FileSystemCalls calls)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var full = System.IO.Path.GetFullPath(path);
        Leftovers.Remove(full, calls);
        var file = UnfinishedFile.TryCreateUnnamed(full, System.IO.Path.GetDirectoryName(full)!, length, calls)
            ?? UnfinishedFile.CreateHidden(full, length, calls);
        return new AtomicFile(full, file, folder: null, calls);
    }

    /// <summary>Writes a whole small file.</summary>
    /// <param name="path">Where the file will appear; an existing file is replaced.</param>
    /// <param name="content">Its bytes; they stay the caller's.</param>
    /// <param name="cancellationToken">Ends the work before the file has its name; nothing is left behind.</param>
    /// <exception cref="IOException">The file cannot be made, or the disk is full or failed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static Task WriteAllBytesAsync(string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken = default) =>
        WriteAllBytesAsync(Create(path, content.Length), content, cancellationToken);

    /// <summary>Writes bytes at an offset.</summary>
    /// <param name="offset">Where they go, in bytes from the start of the file.</param>
    /// <param name="bytes">The bytes; they stay the caller's.</param>
    /// <param name="cancellationToken">Ends a write that has not begun.</param>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    /// <exception cref="ObjectDisposedException">The file was committed or disposed.</exception>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        return RandomAccess.WriteAsync(_file.Handle, bytes, offset, cancellationToken);
    }

    /// <summary>Writes bytes at an offset on the calling thread.</summary>
    /// <inheritdoc cref="WriteAsync" path="/param"/>
    /// <inheritdoc cref="WriteAsync" path="/exception"/>
    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        RandomAccess.Write(_file.Handle, bytes, offset);
    }

    /// <summary>
    /// Forces the bytes to disk and gives the file its name; a file of an <see cref="AtomicFolder"/> gets it when that is
    /// committed. May be called once: after a failure the file can only be disposed.
    /// </summary>
    /// <param name="cancellationToken">Ends a commit that has not begun; forcing to disk cannot be interrupted.</param>
    /// <exception cref="IOException">
    /// The disk is full or failed, or the name is a folder's. The target is as it was, unless only forcing its folder failed.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The file was committed or disposed.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        cancellationToken.ThrowIfCancellationRequested();
        _hasEnded = true;
        // Begun is ended: half of it is what must never be.
        await Task.Run(Finish, CancellationToken.None).ConfigureAwait(false);
    }

    /// <summary>Closes the file and, if it was not committed, removes it.</summary>
    public ValueTask DisposeAsync()
    {
        _hasEnded = true;
        if (!_isDisposed)
        {
            _isDisposed = true;
            if (_folder is null)
            {
                _file.Dispose();
            }
            else
            {
                _folder.Drop(this, _file);
            }
        }

        return ValueTask.CompletedTask;
    }

    internal static async Task WriteAllBytesAsync(AtomicFile file, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        await using (file.ConfigureAwait(false))
        {
            await file.WriteAsync(0, content, cancellationToken).ConfigureAwait(false);
            await file.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    // Order: content on disk, then the name, then the folder; a crash between them leaves the old file or the new one.
    private void Finish()
    {
        _file.Flush();
        if (_folder is not null)
        {
            _folder.Keep(this, _file);
            return;
        }

        _file.GiveName(Path);
        _calls.FlushFolder(System.IO.Path.GetDirectoryName(Path)!);
    }
}
