namespace IlgpuLoader.Formats;

/// <summary>
/// A file that appears whole or not at all: it is written without a name (Linux) or under a hidden one in the same
/// folder, forced to disk, given its name, and the folder is forced to disk. Without <see cref="CommitAsync"/> nothing is
/// left behind; on Linux not even by a run that is killed, and elsewhere the next file of this name removes what such a
/// run left. A reader that has the old file open, mapped even, keeps the old bytes.
/// </summary>
/// <remarks>
/// Positional writes of disjoint ranges may run in parallel. The mode follows the umask, as for any new file. Where several
/// writers have one target, the last commit stands, or the first where nothing may be replaced. Only regular files are ever
/// replaced, and links to them: the link gives way, and what it leads to stays, which in a Hub cache other snapshots share.
/// </remarks>
public sealed class AtomicFile : IAsyncDisposable
{
    // Linux begins to write when a tenth of all memory waits for the disk: for a file of a few gigabytes that is at the end,
    // and whoever forces it to disk then waits for all of it. This much keeps a disk busy beside those who write.
    private const long WritebackBytes = 32 << 20;

    private readonly UnfinishedFile _file;
    private readonly AtomicFolder? _folder;
    private readonly FileSystemCalls _calls;
    private readonly bool _overwrite;
    private readonly long _length;
    private long _sinceWriteback;
    private bool _hasEnded;
    private bool _isDisposed;

    internal AtomicFile(string path, long length, bool overwrite, UnfinishedFile file, AtomicFolder? folder, FileSystemCalls calls)
    {
        Path = path;
        _length = length;
        _overwrite = overwrite;
        _file = file;
        _folder = folder;
        _calls = calls;
    }

    /// <summary>Where the file will appear: the full path.</summary>
    public string Path { get; }

    /// <summary>Whether nothing can be written any more: the file was committed or disposed.</summary>
    internal bool HasEnded => _hasEnded;

    /// <summary>Whether the file has its name, and its folder is on disk.</summary>
    internal bool HasAppeared { get; private set; }

    /// <summary>Begins a file; the target is not touched before <see cref="CommitAsync"/>.</summary>
    /// <param name="path">Where the file will appear, in a folder that is there.</param>
    /// <param name="length">
    /// The size in bytes if it is known: the space is then taken now, so that a full disk is reported before the work.
    /// </param>
    /// <param name="overwrite">
    /// Whether a regular file that is there, or comes there before <see cref="CommitAsync"/>, is replaced.
    /// </param>
    /// <exception cref="ArgumentException">The path is empty, or an address.</exception>
    /// <exception cref="IOException">
    /// The file cannot be made, something is there that may not be replaced, or the disk is full. The message begins with the path.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static AtomicFile Create(string path, long length = 0, bool overwrite = true) =>
        Create(path, length, FileSystemCalls.Native, overwrite);

    internal static AtomicFile Create(string path, long length, FileSystemCalls calls, bool overwrite = true)
    {
        OutputPath.ThrowIfNoPath(path);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var given = System.IO.Path.GetFullPath(path);
        var full = OutputFailure.Explain(given, () => OutputPath.ResolveFile(path));
        return OutputFailure.Explain(
            full,
            () =>
            {
                OutputPath.CheckFile(full, overwrite);
                Leftovers.Remove(full, calls);
                var file = UnfinishedFile.TryCreateUnnamed(full, System.IO.Path.GetDirectoryName(full)!, length, calls)
                    ?? UnfinishedFile.CreateHidden(full, length, calls);
                return new AtomicFile(full, length, overwrite, file, folder: null, calls);
            },
            length);
    }

    /// <summary>Writes a whole small file.</summary>
    /// <param name="path">Where the file will appear, in a folder that is there.</param>
    /// <param name="content">Its bytes; they stay the caller's.</param>
    /// <param name="overwrite">Whether a regular file that is there is replaced.</param>
    /// <param name="cancellationToken">Ends the work before the file has its name; nothing is left behind.</param>
    /// <exception cref="IOException">
    /// The file cannot be made, something is there that may not be replaced, or the disk is full or failed.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static Task WriteAllBytesAsync(
        string path, ReadOnlyMemory<byte> content, bool overwrite = true, CancellationToken cancellationToken = default) =>
        WriteAllBytesAsync(Create(path, content.Length, overwrite), content, cancellationToken);

    /// <summary>Writes bytes at an offset.</summary>
    /// <param name="offset">Where they go, in bytes from the start of the file.</param>
    /// <param name="bytes">The bytes; they stay the caller's.</param>
    /// <param name="cancellationToken">Ends a write that has not begun.</param>
    /// <exception cref="ArgumentOutOfRangeException">The offset is negative.</exception>
    /// <exception cref="IOException">The disk is full or failed. The message begins with the path.</exception>
    /// <exception cref="ObjectDisposedException">The file was committed or disposed.</exception>
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        try
        {
            await RandomAccess.WriteAsync(_file.Handle, bytes, offset, cancellationToken).ConfigureAwait(false);
            CountWritten(bytes.Length);
        }
        catch (Exception exception) when (IsFailedWrite(exception))
        {
            throw OutputFailure.Of(Path, exception, _length);
        }
    }

    /// <summary>Writes bytes at an offset on the calling thread.</summary>
    /// <inheritdoc cref="WriteAsync" path="/param"/>
    /// <inheritdoc cref="WriteAsync" path="/exception"/>
    public void Write(long offset, ReadOnlySpan<byte> bytes)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        try
        {
            RandomAccess.Write(_file.Handle, bytes, offset);
            CountWritten(bytes.Length);
        }
        catch (Exception exception) when (IsFailedWrite(exception))
        {
            throw OutputFailure.Of(Path, exception, _length);
        }
    }

    // Whoever passes the mark takes it back; others may pass it once more meanwhile, which costs a call.
    private void CountWritten(int bytes)
    {
        if (Interlocked.Add(ref _sinceWriteback, bytes) >= WritebackBytes)
        {
            Interlocked.Exchange(ref _sinceWriteback, 0);
            _calls.BeginWriteback(_file.Handle);
        }
    }

    /// <summary>
    /// Forces the bytes to disk and gives the file its name; a file of an <see cref="AtomicFolder"/> gets it when that is
    /// committed. May be called once: after a failure the file can only be disposed.
    /// </summary>
    /// <param name="cancellationToken">Ends a commit that has not begun; forcing to disk cannot be interrupted.</param>
    /// <exception cref="IOException">
    /// The disk is full or failed, or something has come to the target that may not be replaced. The target is as it was,
    /// unless only forcing its folder failed. The message begins with the path.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The file was committed or disposed.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_hasEnded, this);
        cancellationToken.ThrowIfCancellationRequested();
        _hasEnded = true;
        // Begun is ended: half of it is what must never be.
        await Task.Run(() => OutputFailure.Explain(Path, Finish, _length), CancellationToken.None).ConfigureAwait(false);
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
                OutputFailure.Explain(Path, _file.Dispose);
            }
            else
            {
                OutputFailure.Explain(Path, () => _folder.Drop(this, _file));
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

    // .NET calls an argument wrong where the system says that the file would be too large.
    private bool IsFailedWrite(Exception exception) =>
        exception is ArgumentOutOfRangeException || OutputFailure.IsToExplain(Path, exception);

    // Order: content on disk, then the name, then the folder; a crash between them leaves the old file or the new one.
    private void Finish()
    {
        _file.Flush();
        if (_folder is not null)
        {
            _folder.Keep(this, _file);
            return;
        }

        // Looked at again: hours may have passed, and a rename replaces whatever is no folder.
        OutputPath.CheckFile(Path, _overwrite);
        _file.GiveName(Path, _overwrite);
        _calls.FlushFolder(System.IO.Path.GetDirectoryName(Path)!);
        HasAppeared = true;
    }
}
