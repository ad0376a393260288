using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// A file that is being written and does not have its name yet: it has none at all where the system has such files, else
/// a hidden one. Disposing it before <see cref="GiveName"/> removes it. Writing is safe for any thread, the rest is not.
/// </summary>
internal sealed class UnfinishedFile : IDisposable
{
    // A hidden file is new to everybody for the instant between its making and its lock; a writer that looks for
    // leftovers just then takes it for one. Twice in a row is as good as impossible.
    private const int Attempts = 8;

    private const int CopyBytes = 1 << 20;

    private readonly FileSystemCalls _calls;
    private string? _name;
    private bool _isFinished;

    private UnfinishedFile(SafeFileHandle handle, string? name, FileSystemCalls calls)
    {
        Handle = handle;
        _name = name;
        _calls = calls;
    }

    /// <summary>The open file; closed by <see cref="GiveName"/>.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Whether the file has no name at all.</summary>
    public bool IsUnnamed => _name is null;

    /// <summary>Begins a file without a name; null where there are none.</summary>
    /// <param name="path">Where the file will appear, for messages.</param>
    /// <param name="folder">A folder of the same file system.</param>
    /// <param name="length">The space to take, in bytes.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <exception cref="IOException">The disk has no room for it.</exception>
    public static UnfinishedFile? TryCreateUnnamed(string path, string folder, long length, FileSystemCalls calls)
    {
        var handle = calls.TryOpenUnnamed(folder);
        if (handle is null)
        {
            return null;
        }

        try
        {
            calls.CheckRoom(path, folder, length);
            calls.Reserve(handle, path, length);
            // For the instant at the end when it may have a hidden name. Shared, so that a reader who opens the file as
            // soon as it appears, and locks it as .NET does, is not refused.
            _ = calls.Lock(handle, exclusive: false);
            return new UnfinishedFile(handle, null, calls);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Begins a file under a hidden name beside its target.</summary>
    /// <param name="path">Where the file will appear.</param>
    /// <param name="length">The space to take, in bytes.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <exception cref="IOException">The file cannot be made, or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public static UnfinishedFile CreateHidden(string path, long length, FileSystemCalls calls)
    {
        calls.CheckRoom(path, Path.GetDirectoryName(path)!, length);
        for (var attempt = 1; ; attempt++)
        {
            var name = TemporaryName.Beside(path);
            try
            {
                var handle = OpenNew(name, length);
                if (calls.Lock(handle, exclusive: false) != LockOutcome.HeldByAnother && File.Exists(name))
                {
                    return new UnfinishedFile(handle, name, calls);
                }

                handle.Dispose();
            }
            catch (IOException exception) when (attempt < Attempts && FileSystemCalls.IsHeldByAnother(exception.HResult))
            {
                continue;
            }

            if (attempt == Attempts)
            {
                throw new IOException($"{path}: something removes the files that are to become this one as soon as they are made.");
            }
        }
    }

    /// <summary>Begins a file under its own name in a folder that is hidden and locked as a whole.</summary>
    /// <param name="path">Where the file will appear, for messages.</param>
    /// <param name="folder">The hidden folder.</param>
    /// <param name="length">The space to take, in bytes.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <inheritdoc cref="CreateHidden" path="/exception"/>
    public static UnfinishedFile CreateWithin(string path, string folder, long length, FileSystemCalls calls)
    {
        calls.CheckRoom(path, folder, length);
        var name = Path.Combine(folder, Path.GetFileName(path));
        return new UnfinishedFile(OpenNew(name, length), name, calls);
    }

    /// <summary>Forces the bytes to disk.</summary>
    /// <exception cref="IOException">The disk is full or failed.</exception>
    public void Flush() => _calls.FlushFile(Handle);

    /// <summary>Gives the file, whose bytes must have been forced to disk, its name, and closes it.</summary>
    /// <param name="path">The full path.</param>
    /// <param name="overwrite">Whether a file that is there is replaced.</param>
    /// <exception cref="IOException">Something has the name that is not replaced, or the disk is full or failed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written to.</exception>
    public void GiveName(string path, bool overwrite)
    {
        if (_isFinished)
        {
            return;
        }

        if (_name is null && !TryLink(path, overwrite))
        {
            CopyTo(path, overwrite);
            return;
        }

        if (_name != path)
        {
            Move(_name!, path, overwrite);
        }

        _isFinished = true;
        Handle.Dispose();
    }

    /// <summary>Closes the file and, if it did not get its name, removes it.</summary>
    public void Dispose()
    {
        Handle.Dispose();
        if (!_isFinished && _name is not null)
        {
            File.Delete(_name);
        }
    }

    // Renaming an open file needs FileShare.Delete on Windows, where the handle is what keeps other writers off.
    private static SafeFileHandle OpenNew(string path, long length) =>
        File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.Read | FileShare.Delete, preallocationSize: length);

    private void Move(string from, string to, bool overwrite)
    {
        if (overwrite)
        {
            _calls.MoveFile(from, to);
            return;
        }

        var outcome = _calls.MoveNewFile(from, to);
        if (outcome == LinkOutcome.Refused && !Path.Exists(to))
        {
            // Looks once more right before it renames; on a Unix without the call above, what comes between is replaced.
            File.Move(from, to, overwrite: false);
        }
        else if (outcome != LinkOutcome.Linked)
        {
            throw SystemError.ToException(SystemError.AlreadyExists);
        }
    }

    private bool TryLink(string path, bool overwrite)
    {
        var outcome = _calls.Link(Handle, path);
        if (outcome == LinkOutcome.NameTaken)
        {
            if (!overwrite)
            {
                throw SystemError.ToException(SystemError.AlreadyExists);
            }

            // A link cannot replace; a rename can. The hidden name exists from here to the rename.
            var hidden = TemporaryName.Beside(path);
            outcome = _calls.Link(Handle, hidden);
            path = hidden;
        }

        _name = outcome == LinkOutcome.Linked ? path : null;
        return _name is not null;
    }

    // Where a file system has files without names and then refuses to name one: what was written is not lost.
    private void CopyTo(string path, bool overwrite)
    {
        var length = RandomAccess.GetLength(Handle);
        using var copy = CreateHidden(path, length, _calls);
        var buffer = new byte[(int)Math.Min(CopyBytes, length)];
        for (long done = 0; done < length;)
        {
            var count = RandomAccess.Read(Handle, buffer, done);
            if (count == 0)
            {
                throw new IOException($"{path}: {length - done} bytes that were written could not be read back.");
            }

            RandomAccess.Write(copy.Handle, buffer.AsSpan(0, count), done);
            done += count;
        }

        copy.Flush();
        copy.GiveName(path, overwrite);
        _isFinished = true;
        Handle.Dispose();
    }
}
