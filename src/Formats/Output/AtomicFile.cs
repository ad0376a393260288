using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// A file that appears whole or not at all: it is written under a temporary name in the same folder, forced to disk,
/// renamed over the target, and the folder is forced to disk. Without <see cref="CommitAsync"/> nothing is left behind.
/// A reader that has the old file open, mapped even, keeps the old bytes.
/// </summary>
/// <remarks>Positional writes of disjoint ranges may run in parallel. The mode follows the umask, as for any new file.</remarks>
public sealed class AtomicFile : IAsyncDisposable
{
    private readonly string _temporaryPath;
    private readonly SafeFileHandle _handle;
    private bool _committed;

    private AtomicFile(string path, string temporaryPath, SafeFileHandle handle)
    {
        Path = path;
        _temporaryPath = temporaryPath;
        _handle = handle;
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
    public static AtomicFile Create(string path, long length = 0)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var full = System.IO.Path.GetFullPath(path);
        var temporary = TemporaryName.Beside(full);
        var handle = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, preallocationSize: length);
        return new AtomicFile(full, temporary, handle);
    }

    /// <summary>Writes a whole small file.</summary>
    public static async Task WriteAllBytesAsync(string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken = default)
    {
        var file = Create(path, content.Length);
        await using (file.ConfigureAwait(false))
        {
            await file.WriteAsync(0, content, cancellationToken).ConfigureAwait(false);
            await file.CommitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Writes bytes at an offset.</summary>
    /// <param name="offset">Where they go, in bytes from the start of the file.</param>
    /// <param name="bytes">The bytes; they stay the caller's.</param>
    /// <param name="cancellationToken">Ends a write that has not begun.</param>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    /// <exception cref="ObjectDisposedException">The file was committed or disposed.</exception>
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken = default) =>
        RandomAccess.WriteAsync(_handle, bytes, offset, cancellationToken);

    /// <summary>Writes bytes at an offset on the calling thread.</summary>
    /// <inheritdoc cref="WriteAsync" path="/param"/>
    /// <inheritdoc cref="WriteAsync" path="/exception"/>
    public void Write(long offset, ReadOnlySpan<byte> bytes) => RandomAccess.Write(_handle, bytes, offset);

    /// <summary>Forces the bytes to disk and gives the file its name. May be called once.</summary>
    /// <param name="cancellationToken">Ends a commit that has not begun; forcing to disk cannot be interrupted.</param>
    /// <exception cref="IOException">
    /// The disk is full or failed, or the name is a folder's. The target is as it was, unless only forcing its folder failed.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The file was committed or disposed.</exception>
    public async ValueTask CommitAsync(CancellationToken cancellationToken = default)
    {
        ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
        cancellationToken.ThrowIfCancellationRequested();
        // Order: content on disk, then the name, then the folder; a crash between them leaves the old file or the new one.
        await Task.Run(() => RandomAccess.FlushToDisk(_handle), cancellationToken).ConfigureAwait(false);
        _handle.Dispose();
        File.Move(_temporaryPath, Path, overwrite: true);
        _committed = true;
        FolderSync.Flush(System.IO.Path.GetDirectoryName(Path)!);
    }

    /// <summary>Closes the file and, if it was not committed, removes it.</summary>
    public ValueTask DisposeAsync()
    {
        _handle.Dispose();
        if (!_committed)
        {
            File.Delete(_temporaryPath);
        }

        return ValueTask.CompletedTask;
    }
}
