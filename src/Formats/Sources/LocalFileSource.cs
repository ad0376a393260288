using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// A local file, read by position. Safe for parallel readers. It is opened once; under an <see cref="OpenFileLimit"/>
/// it may be closed while idle and opened again, and is then refused if it is no longer the same file.
/// </summary>
/// <remarks>
/// On Linux it can also be read past the page cache (O_DIRECT), through a second descriptor that is opened by the first such read.
/// Where the file system refuses, then or at a later read, that is remembered, and such reads go through the page cache.
/// </remarks>
public sealed partial class LocalFileSource : ISynchronousByteSource, IFileByteSource
{
    private readonly DirectCalls _calls;
    private readonly DateTime _lastWrite;
    private readonly LimitedHandle _file;
    private readonly LimitedHandle _direct;

    // One each, so that a read makes none.
    private readonly Func<SafeFileHandle> _openAgain;

    // Written under the lock of the descriptor, with what is the same each time, before anybody has that.
    private DirectAlignment _alignment;
    private volatile bool _refusesDirect;
    private volatile bool _expectsScattered;
    private int _mappings;

    /// <summary>Opens a file.</summary>
    /// <param name="path">The path; symbolic links are followed.</param>
    /// <param name="limit">Shared among the files of one checkpoint; null keeps the file open until it is disposed.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="IOException">The file cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read, or is a folder.</exception>
    /// <exception cref="UnsupportedCheckpointException">It is not a regular file but a pipe, a socket or a terminal.</exception>
    public LocalFileSource(string path, OpenFileLimit? limit = null)
        : this(path, limit, DirectCalls.System)
    {
    }

    /// <summary>Opens a file over other calls, so that tests can play a file system.</summary>
    internal LocalFileSource(string path, OpenFileLimit? limit, DirectCalls calls)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        Name = path;
        _calls = calls;
        _file = new LimitedHandle(this, limit);
        _direct = new LimitedHandle(this, limit);
        _openAgain = OpenAgain;
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

        _ = _file.TryAcquire(() => handle);
        _file.Release();
    }

    /// <inheritdoc/>
    public string Name { get; }

    /// <inheritdoc/>
    public long Length { get; }

    /// <summary>Mappings of the file that are not unmapped yet, for tests and metrics; they may outlive the source.</summary>
    public int LiveMappings => Volatile.Read(ref _mappings);

    /// <inheritdoc/>
    public FileRange? FindFileRange(long offset, long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        return length > 0 && offset <= Length - length ? new FileRange(this, offset) : null;
    }

    /// <summary>
    /// Says whether reads through the page cache will be scattered: each is then read as it is asked for, without what lies behind it.
    /// Only a hint, for all readers of this source; Linux alone takes it.
    /// </summary>
    /// <param name="areScattered">Whether they will be; false again when they have been.</param>
    public void ExpectScatteredReads(bool areScattered)
    {
        if (_expectsScattered == areScattered)
        {
            return;
        }

        _expectsScattered = areScattered;
        // One that is closed is told when it is opened again.
        if (_file.TryAcquire(null) is { } handle)
        {
            try
            {
                _calls.Advise(handle, areScattered);
            }
            finally
            {
                _file.Release();
            }
        }
    }

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
            _file.Release();
        }
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
            _file.Release();
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
            _file.Release();
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
        _direct.Dispose();
        _file.Dispose();
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
            _file.Release();
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

    private SafeFileHandle Acquire() => _file.TryAcquire(_openAgain)!;

    private SafeFileHandle OpenAgain()
    {
        var opened = Open(Name);
        try
        {
            ThrowIfChanged(opened);
            if (_expectsScattered)
            {
                _calls.Advise(opened, areScattered: true);
            }

            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
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
