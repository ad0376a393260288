namespace IlgpuLoader.Formats;

/// <summary>
/// Holds a save whose members come one after the other from one place: between two of them no other save that is complete takes its shares for
/// abandoned. Disposing lets go; what is there then waits as any share. Not safe for several threads.
/// </summary>
public sealed class HeldSave : IAsyncDisposable
{
    private readonly string _target;
    private readonly FileSystemCalls _calls;
    private readonly SaveFolder _save;
    private readonly MadeFolders _above;
    private readonly SaveLockFile? _file;
    private bool _isDisposed;

    private HeldSave(string target, SaveFolder save, MadeFolders above, SaveLockFile? file, FileSystemCalls calls) =>
        (_target, _save, _above, _file, _calls) = (target, save, above, file, calls);

    /// <summary>Takes hold of a save before its first member joins (<see cref="JoinedFolder"/>).</summary>
    /// <param name="path">Where the folder will appear.</param>
    /// <param name="id">What the members call the save.</param>
    /// <param name="cancellationToken">Ends the waiting for others that begin or finish in the same folder.</param>
    /// <exception cref="ArgumentException">The identifier is none, or the path is an address.</exception>
    /// <exception cref="IOException">No folder can be made there.</exception>
    /// <exception cref="UnauthorizedAccessException">A folder above may not be written to.</exception>
    public static Task<HeldSave> TakeAsync(string path, string id, CancellationToken cancellationToken = default) =>
        TakeAsync(path, id, FileSystemCalls.Native, cancellationToken);

    /// <summary>Gives a save up whose members are not all there: the shares that wait are removed, unless somebody holds it.</summary>
    /// <param name="path">Where the folder would have appeared.</param>
    /// <param name="id">What the members call the save.</param>
    /// <param name="cancellationToken">Ends the waiting for others that begin or finish in the same folder.</param>
    /// <returns>Whether nothing of it is left.</returns>
    /// <exception cref="IOException">It cannot be removed, or others were at work in the same folder for 30 seconds.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be removed.</exception>
    public static async Task<bool> AbandonAsync(string path, string id, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        ArgumentException.ThrowIfNullOrEmpty(id);
        var full = OutputPath.ResolveFolder(path);
        if (!TemporaryName.IsSaveId(id) || !Directory.Exists(TemporaryName.OfSave(full, id)))
        {
            return true;
        }

        using var turn = await SaveTurn.TakeToCleanUpAsync(full, FileSystemCalls.Native, cancellationToken).ConfigureAwait(false);
        return OutputFailure.Explain(full, () => SaveFolder.Remove(TemporaryName.OfSave(full, id), FileSystemCalls.Native));
    }

    internal static async Task<HeldSave> TakeAsync(string path, string id, FileSystemCalls calls, CancellationToken cancellationToken)
    {
        OutputPath.ThrowIfNoPath(path);
        TemporaryName.ThrowIfNoSaveId(id);
        var given = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var full = OutputFailure.Explain(given, () => OutputPath.ResolveFolder(path));
        var above = OutputFailure.Explain(full, () => MadeFolders.Make(Path.GetDirectoryName(full)!, calls));
        try
        {
            // The members find them made, and do not force their names to disk.
            OutputFailure.Explain(full, above.Flush);
            using var turn = await SaveTurn.TakeAsync(full, calls, cancellationToken).ConfigureAwait(false);
            return OutputFailure.Explain(full, () =>
            {
                var save = SaveFolder.Open(full, id, calls);
                try
                {
                    return new HeldSave(full, save, above, save.IsLocked ? null : SaveLockFile.TryTake(SaveLockFile.OfSave(save.Path)), calls);
                }
                catch
                {
                    save.Dispose();
                    throw;
                }
            });
        }
        catch
        {
            above.Dispose();
            throw;
        }
    }

    /// <summary>Lets go of the save; a folder in which nothing is is removed.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        try
        {
            using var turn = await SaveTurn.TakeToCleanUpAsync(_target, _calls, CancellationToken.None).ConfigureAwait(false);
            _file?.Dispose();
            _save.RemoveIfEmpty();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // What is left is an empty folder, which the next save that is complete removes.
        }
        finally
        {
            _file?.Dispose();
            _save.Dispose();
            _above.Dispose();
        }
    }
}
