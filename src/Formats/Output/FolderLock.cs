using Microsoft.Win32.SafeHandles;

namespace IlgpuLoader.Formats;

/// <summary>
/// A lock on a folder that one of several processes holds at a time, so that they make something there once. It holds nobody
/// off who does not ask for it. Disposing gives it back; so does the end of the process, however it ends.
/// </summary>
/// <remarks>
/// On Linux the folder itself is locked, and nothing is left in it; elsewhere a hidden file in it is held open, which is
/// removed with the lock. A file system without locks lets everyone in.
/// </remarks>
public sealed class FolderLock : IDisposable
{
    private const string FileName = ".ilgpu-loader.lock";

    // A system does not tell when a lock that was asked for in this way becomes free; half that on average is what a waiting
    // process loses.
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly IDisposable? _handle;

    private FolderLock(IDisposable? handle) => _handle = handle;

    /// <summary>Waits for the lock.</summary>
    /// <param name="folder">The folder, which is there.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="IOException">The folder cannot be opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be opened.</exception>
    public static Task<FolderLock> TakeAsync(string folder, CancellationToken cancellationToken = default) =>
        TakeAsync(folder, FileSystemCalls.Native, cancellationToken);

    internal static async Task<FolderLock> TakeAsync(string folder, FileSystemCalls calls, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(folder);
        while (true)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (TryTake(folder, calls) is { } taken)
            {
                return taken;
            }

            await Task.Delay(Interval, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _handle?.Dispose();

    private static FolderLock? TryTake(string folder, FileSystemCalls calls)
    {
        if (calls.TryOpenFolder(folder) is { } handle)
        {
            return TryTake(handle, calls);
        }

        var path = Path.Combine(folder, FileName);
        try
        {
            return new FolderLock(new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose));
        }
        catch (IOException exception) when (exception is not DirectoryNotFoundException && File.Exists(path))
        {
            // Somebody has it open.
            return null;
        }
    }

    private static FolderLock? TryTake(SafeFileHandle handle, FileSystemCalls calls)
    {
        switch (calls.Lock(handle, exclusive: true))
        {
            case LockOutcome.HeldByAnother:
                handle.Dispose();
                return null;
            case LockOutcome.Unavailable:
                handle.Dispose();
                return new FolderLock(null);
            default:
                return new FolderLock(handle);
        }
    }
}
