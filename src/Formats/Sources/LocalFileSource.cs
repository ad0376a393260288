using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// A local file, read by position. Safe for parallel readers. It is opened once; under an <see cref="OpenFileLimit"/>
/// it may be closed while idle and opened again, and is then refused if it is no longer the same file.
/// </summary>
public sealed class LocalFileSource : ISynchronousByteSource, IMappableByteSource
{
    private readonly OpenFileLimit? _limit;
    private readonly LinkedListNode<LocalFileSource> _node;
    private readonly DateTime _lastWrite;
    private readonly Lock _lock = new();
    private SafeFileHandle? _handle;
    private int _users;
    private int _mappings;
    private bool _disposed;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The path; symbolic links are followed.</param>
    /// <param name="limit">Shared among the files of one checkpoint; null keeps the file open until it is disposed.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read, or is a folder.</exception>
    /// <exception cref="UnsupportedCheckpointException">It is not a regular file but a pipe, a socket or a terminal.</exception>
    public LocalFileSource(string path, OpenFileLimit? limit = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Name = path;
        _limit = limit;
        _node = new LinkedListNode<LocalFileSource>(this);
        ThrowIfPipe(path);
        var handle = Open(path);
        try
        {
            Length = RandomAccess.GetLength(handle);
            _lastWrite = File.GetLastWriteTimeUtc(handle);
        }
        catch (NotSupportedException)
        {
            handle.Dispose();
            throw NoRandomAccess(path);
        }
        catch
        {
            handle.Dispose();
            throw;
        }

        _handle = handle;
        _limit?.Use(_node);
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public long Length { get; }

    /// <summary>Mappings of the file that are not unmapped yet, for tests and metrics; they may outlive the source.</summary>
    public int LiveMappings => Volatile.Read(ref _mappings);

    /// <summary>Maps the file as it was opened, so that a file that was renamed over it is not what is mapped.</summary>
    /// <returns>All bytes of the file, with one reference that the caller releases. It may outlive the source.</returns>
    /// <exception cref="InvalidCheckpointException">The file was changed or replaced since it was opened.</exception>
    /// <exception cref="IOException">The file system maps no files, or the process has too many mappings.</exception>
    public FileMapping Map()
    {
        var handle = Acquire();
        try
        {
            ThrowIfChanged(handle);
            return FileMapping.Create(handle, this);
        }
        finally
        {
            Release();
        }
    }

    /// <inheritdoc/>
    public FileRange? FindFileRange(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        return length > 0 && offset <= Length - length ? new FileRange(this, offset) : null;
    }

    /// <inheritdoc/>
    public int Read(long offset, Span<byte> destination)
    {
        var handle = Acquire();
        try
        {
            return RandomAccess.Read(handle, destination, offset);
        }
        finally
        {
            Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        var handle = Acquire();
        try
        {
            return await RandomAccess.ReadAsync(handle, destination, offset, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            Release();
        }
    }

    /// <inheritdoc/>
    public ValueTask EnsureUnchangedAsync(CancellationToken cancellationToken = default)
    {
        ThrowIfChanged();
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        _limit?.Forget(_node);
        lock (_lock)
        {
            _disposed = true;
            _handle?.Dispose();
            _handle = null;
        }

        return ValueTask.CompletedTask;
    }

    internal void CountMapping(int change) => Interlocked.Add(ref _mappings, change);

    internal void ThrowIfChanged()
    {
        var handle = Acquire();
        try
        {
            ThrowIfChanged(handle);
        }
        finally
        {
            Release();
        }
    }

    // Closes the file unless a read is under way. Takes the file's lock under the limit's lock, never the other way round.
    internal bool TryCloseIdle()
    {
        lock (_lock)
        {
            if (_users > 0)
            {
                return false;
            }

            _handle?.Dispose();
            _handle = null;
            return true;
        }
    }

    // Opening a pipe waits until somebody writes to it, perhaps for ever; a broken checkpoint must not do that.
    private static void ThrowIfPipe(string path)
    {
        using var handle = NonBlockingFile.TryOpen(path);
        try
        {
            _ = handle is null ? 0 : RandomAccess.GetLength(handle);
        }
        catch (NotSupportedException)
        {
            throw NoRandomAccess(path);
        }
    }

    private static UnsupportedCheckpointException NoRandomAccess(string path) => new(
        "a source without random access",
        path,
        "this is a pipe, a socket or a terminal, and a checkpoint is read at many places; save it to a file first.");

    // No lock on the file (FileShare.ReadWrite): .NET would take an advisory lock, which network file systems refuse
    // and which would keep a writer of a *new* version out.
    private static SafeFileHandle Open(string path) =>
        File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);

    private SafeFileHandle Acquire()
    {
        SafeFileHandle handle;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_handle is null)
            {
                var opened = Open(Name);
                try
                {
                    ThrowIfChanged(opened);
                }
                catch
                {
                    opened.Dispose();
                    throw;
                }

                _handle = opened;
            }

            handle = _handle;
            _users++;
        }

        // On every read, not only where the file was opened: the limit closes the least recently used first.
        _limit?.Use(_node);
        return handle;
    }

    private void Release()
    {
        lock (_lock)
        {
            _users--;
        }
    }

    private void ThrowIfChanged(SafeFileHandle handle)
    {
        var (length, lastWrite) = (RandomAccess.GetLength(handle), File.GetLastWriteTimeUtc(handle));
        if (length != Length || lastWrite != _lastWrite)
        {
            throw new InvalidCheckpointException(
                CheckpointErrorCode.FileChanged,
                Name,
                $"the file was changed or replaced while it was being read: it had {Length} bytes, written {_lastWrite:O}, and has "
                + $"{length} bytes, written {lastWrite:O}; open the checkpoint again.");
        }
    }
}
