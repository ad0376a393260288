using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// A folder under a hidden name beside its target, locked while it is filled. Disposing it removes it, unless it was
/// moved away. Not safe for several threads.
/// </summary>
internal sealed class HiddenFolder : IDisposable
{
    // As for files: between its making and its lock it looks like a leftover.
    private const int Attempts = 8;

    private readonly SafeFileHandle? _lock;
    private bool _isMoved;

    private HiddenFolder(string path, SafeFileHandle? folderLock)
    {
        Path = path;
        _lock = folderLock;
    }

    /// <summary>Where it is.</summary>
    public string Path { get; }

    /// <summary>Makes the folder.</summary>
    /// <param name="target">The full path that it will have in the end.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <exception cref="IOException">The folder cannot be made.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be written to.</exception>
    public static HiddenFolder Create(string target, FileSystemCalls calls)
    {
        for (var attempt = 1; attempt <= Attempts; attempt++)
        {
            var path = TemporaryName.Beside(target);
            Directory.CreateDirectory(path);
            var handle = calls.TryOpenFolder(path);
            var isFree = handle is null || calls.Lock(handle, exclusive: false) != LockOutcome.HeldByAnother;
            if (isFree && Directory.Exists(path))
            {
                return new HiddenFolder(path, handle);
            }

            handle?.Dispose();
        }

        throw new IOException($"{target}: something removes the folders that are to become this one as soon as they are made.");
    }

    /// <summary>Says that the folder has another name now, and gives up the lock.</summary>
    public void MarkMoved()
    {
        _isMoved = true;
        _lock?.Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Removed under the lock, so that nobody else does it at the same time.
        if (!_isMoved && Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }

        _isMoved = true;
        _lock?.Dispose();
    }
}
