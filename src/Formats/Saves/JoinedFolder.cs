using System.Collections.Immutable;

namespace IlgpuLoader.Formats;

/// <summary>
/// A folder that several processes fill, one member each, and that appears with the files of all or not at all. Each member
/// writes its share into a hidden folder beside the target, <c>.NAME.save-ID</c>, then a record of it (<see cref="RankManifest"/>);
/// the last to come puts the whole in the target's place in one step. Members may run at once or one after the other: a share
/// that is recorded waits for the others, until another save of the same target is complete: that removes all shares which nobody holds.
/// </summary>
/// <remarks>
/// An identifier is for one save of one content: a share that waits is completed by whoever comes under its name. A member that joins again
/// with the same identifier replaces its own share, unless it is still at work elsewhere: then it is refused. What saves left that never came to
/// their end is removed by the next that does, and so are the shares of members that ended and wait for others: where one process saves several
/// members in turn, it holds the save meanwhile (<see cref="HeldSave"/>). Files may be made and written from several threads; finishing and disposing are for one,
/// after them. A link at the end of the path is followed, as <see cref="AtomicFolder"/> follows it.
/// </remarks>
public sealed class JoinedFolder : IOutputFolder, IAsyncDisposable
{
    private readonly string _id;
    private readonly int _member;
    private readonly int _memberCount;
    private readonly bool _overwrite;
    private readonly FileSystemCalls _calls;
    private readonly SaveFolder _save;
    private readonly SaveLockFile _own;
    private readonly MadeFolders _above;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<string, AtomicFile> _files = new(StringComparer.Ordinal);

    // The names that files beside the members' may not take; set when all members are there.
    private HashSet<string>? _recorded;
    private bool _isFinishing;
    private bool _isFinished;
    private bool _isDisposed;

    private JoinedFolder(
        string path, string id, int member, int memberCount, bool overwrite, SaveFolder save, SaveLockFile own, MadeFolders above, FileSystemCalls calls)
    {
        Path = path;
        _id = id;
        _member = member;
        _memberCount = memberCount;
        _overwrite = overwrite;
        _save = save;
        _own = own;
        _above = above;
        _calls = calls;
    }

    /// <inheritdoc/>
    public string Path { get; }

    private string Parent => System.IO.Path.GetDirectoryName(Path)!;

    private string RecordPath => System.IO.Path.Combine(_save.Path, RankManifest.FileName(_member));

    /// <summary>Begins a member's share, and removes what this member has put into the save before.</summary>
    /// <param name="path">
    /// Where the folder will appear, the same for all members; missing folders above it are made, and removed again where nothing
    /// comes of it.
    /// </param>
    /// <param name="id">
    /// What all members call this save: 1 to 64 letters and digits of ASCII, '.', '_' and '-', not beginning with '.', without
    /// '.save-' in it and not ending with '.tmp' or '.old'.
    /// </param>
    /// <param name="member">Which member this is, from 0.</param>
    /// <param name="memberCount">How many there are.</param>
    /// <param name="overwrite">Whether a folder that is there and not empty is replaced as a whole.</param>
    /// <param name="cancellationToken">Ends the waiting for others that begin or finish in the same folder.</param>
    /// <exception cref="ArgumentException">The identifier is none, or the path is an address.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such member.</exception>
    /// <exception cref="IOException">
    /// A file, or a folder that is not empty, is there and may not be replaced, no folder can be made there, or this member of this save is being
    /// written at this moment. The message begins with the path.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">A folder above may not be written to.</exception>
    public static Task<JoinedFolder> JoinAsync(
        string path, string id, int member, int memberCount, bool overwrite = false, CancellationToken cancellationToken = default) =>
        JoinAsync(path, id, member, memberCount, overwrite, FileSystemCalls.Native, cancellationToken);

    internal static async Task<JoinedFolder> JoinAsync(
        string path, string id, int member, int memberCount, bool overwrite, FileSystemCalls calls, CancellationToken cancellationToken)
    {
        OutputPath.ThrowIfNoPath(path);
        ArgumentException.ThrowIfNullOrEmpty(id);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(memberCount);
        ArgumentOutOfRangeException.ThrowIfNegative(member);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(member, memberCount);
        TemporaryName.ThrowIfNoSaveId(id);
        var given = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        var full = OutputFailure.Explain(given, () => OutputPath.ResolveFolder(path));
        var above = OutputFailure.Explain(full, () =>
        {
            Leftovers.Remove(full, calls);
            OutputPath.CheckFolder(full, overwrite);
            return MadeFolders.Make(System.IO.Path.GetDirectoryName(full)!, calls);
        });
        try
        {
            using var turn = await SaveTurn.TakeAsync(full, calls, cancellationToken).ConfigureAwait(false);
            var save = OutputFailure.Explain(full, () => SaveFolder.Open(full, id, calls));
            SaveLockFile? own = null;
            try
            {
                own = OutputFailure.Explain(full, () => SaveLockFile.TryTake(SaveLockFile.OfMember(save.Path, member)))
                    ?? throw new IOException(
                        $"{full}: rank {member} of the save {Quoted.Name(id)} is being written by another process at this moment; wait until that is done, or give this save an identifier of its own.");
                var folder = new JoinedFolder(full, id, member, memberCount, overwrite, save, own, above, calls);
                await folder.RemoveEarlierAsync(cancellationToken).ConfigureAwait(false);
                return folder;
            }
            catch
            {
                own?.Dispose();
                save.RemoveIfEmpty();
                save.Dispose();
                throw;
            }
        }
        catch
        {
            above.Dispose();
            throw;
        }
    }

    /// <summary>Whether a save can be called this: 1 to 64 letters and digits of ASCII, '.', '_' and '-', not beginning with '.', without '.save-' in it and not ending with '.tmp' or '.old'.</summary>
    public static bool IsId(string id) => TemporaryName.IsSaveId(id);

    /// <inheritdoc/>
    /// <remarks>
    /// No name like <c>rank-N.json</c>, which are the records', or <c>.*.lock</c>, nor one that another member has. The file is the member's own
    /// until the record lists it: one that no record lists does not come into the target.
    /// </remarks>
    public AtomicFile CreateFile(string name, long length = 0)
    {
        OutputPath.ThrowIfNoBaseName(name);
        if (RankManifest.IsFileName(name) || (name.StartsWith('.') && name.EndsWith(SaveLockFile.Ending, StringComparison.OrdinalIgnoreCase)))
        {
            throw new ArgumentException($"The name {Quoted.Name(name)} is kept for the members' records and locks.", nameof(name));
        }

        ArgumentOutOfRangeException.ThrowIfNegative(length);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isFinished || _isDisposed || (_isFinishing && _recorded is null), this);
            if (_recorded?.Contains(name) == true || (_files.TryGetValue(name, out var file) && (file.HasAppeared || !file.HasEnded)))
            {
                throw new ArgumentException($"The folder has a file {Quoted.Name(name)} already.", nameof(name));
            }

            return _files[name] = AtomicFile.Create(System.IO.Path.Combine(_save.Path, name), length, _calls);
        }
    }

    /// <inheritdoc/>
    public Task WriteAllBytesAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken = default) =>
        AtomicFile.WriteAllBytesAsync(CreateFile(name, content.Length), content, cancellationToken);

    /// <summary>
    /// Records the member's share and, where all members' are recorded, makes the folder appear. May be called once: after a
    /// failure the folder can only be disposed, and the target is as it was, unless only forcing the folders above to disk or
    /// removing the replaced folder failed.
    /// </summary>
    /// <param name="record">
    /// The bytes of the member's <see cref="RankManifest"/>, which lists every file that the member has committed.
    /// </param>
    /// <param name="beforeCommit">
    /// Adds the files that belong to no member, such as the configuration; called by the last member only, and null for none. Whoever else finishes waits.
    /// </param>
    /// <param name="cancellationToken">Ends the work before the folder is put in its place; nothing of that can be interrupted.</param>
    /// <returns>
    /// The members whose records are missing: the share then waits for them. None where the folder has appeared, by this member or by
    /// another that found all records at the same time.
    /// </returns>
    /// <exception cref="ArgumentException">The record is another member's or save's, or does not list the member's files.</exception>
    /// <exception cref="InvalidOperationException">A file was neither committed nor disposed.</exception>
    /// <exception cref="InvalidCheckpointException">The members' records do not belong together, or files that they list are not there.</exception>
    /// <exception cref="IOException">
    /// The disk failed, or something has come to the target meanwhile. The message begins with the path.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be written to.</exception>
    /// <exception cref="ObjectDisposedException">The folder was finished or disposed.</exception>
    public async Task<ImmutableArray<int>> FinishAsync(
        ReadOnlyMemory<byte> record,
        Func<IOutputFolder, CancellationToken, Task>? beforeCommit = null,
        CancellationToken cancellationToken = default)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_isFinishing || _isDisposed, this);
            CheckRecord(record);
            _isFinishing = true;
        }

        await AtomicFile.WriteAllBytesAsync(
            AtomicFile.Create(RecordPath, record.Length, _calls), record, cancellationToken).ConfigureAwait(false);
        using var turn = await SaveTurn.TakeAsync(Path, _calls, cancellationToken).ConfigureAwait(false);
        ImmutableArray<int> missing;
        try
        {
            missing = await TryCompleteAsync(beforeCommit, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException && !Directory.Exists(_save.Path) && !_isFinished)
        {
            // Another member found all records at the same time, and was first.
            await WaitForTheOtherAsync(exception, cancellationToken).ConfigureAwait(false);
            missing = [];
        }

        _own.Dispose();
        _above.Keep();
        OutputFailure.Explain(Path, _above.Flush);
        _isFinished = true;
        return missing;
    }

    /// <summary>
    /// Removes the member's share if it was not finished, and lets go of the save. Where that cannot be done, or others are at work in the same folder
    /// for longer than 30 seconds, the next save that is complete does it: whatever ended this one is what its caller hears of.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            if (_isDisposed)
            {
                return;
            }

            _isDisposed = true;
        }

        try
        {
            if (!_isFinished)
            {
                using var turn = await SaveTurn.TakeToCleanUpAsync(Path, _calls, CancellationToken.None).ConfigureAwait(false);
                RemoveShare();
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Nobody takes files for a share that no record lists, and with its record it is whole.
        }
        finally
        {
            _own.Dispose();
            _save.Dispose();
            _above.Dispose();
        }
    }

    private void RemoveShare()
    {
        if (!Directory.Exists(_save.Path))
        {
            return;
        }

        // The record first: without it nobody takes what is left for a share.
        _calls.DeleteFile(RecordPath);
        foreach (var file in _files.Values.Where(file => file.HasAppeared))
        {
            _calls.DeleteFile(file.Path);
        }

        _own.Dispose();
        _save.RemoveIfEmpty();
    }

    private async Task RemoveEarlierAsync(CancellationToken cancellationToken)
    {
        RankManifest earlier;
        try
        {
            earlier = await RankManifest.ReadAsync(RecordPath, cancellationToken).ConfigureAwait(false);
        }
        catch (FileNotFoundException)
        {
            return;
        }
        catch (CheckpointException)
        {
            // What it lists nobody knows; what no record lists is removed in the end.
            _calls.DeleteFile(RecordPath);
            return;
        }

        _calls.DeleteFile(RecordPath);
        foreach (var file in earlier.Files)
        {
            _calls.DeleteFile(System.IO.Path.Combine(_save.Path, file.Name));
        }
    }

    private void CheckRecord(ReadOnlyMemory<byte> content)
    {
        if (_files.FirstOrDefault(file => !file.Value.HasEnded).Key is { } open)
        {
            throw new InvalidOperationException($"{Path}: the file {Quoted.Name(open)} is still being written; commit or dispose it first.");
        }

        var record = SharedRecords.ParseOwn(RecordPath, content, _id, _member, _memberCount);
        var listed = record.Files.Select(file => file.Name).ToHashSet(StringComparer.Ordinal);
        var written = _files.Where(file => file.Value.HasAppeared).Select(file => file.Key).ToHashSet(StringComparer.Ordinal);
        if (listed.Except(written).Concat(written.Except(listed)).FirstOrDefault() is { } different)
        {
            throw new ArgumentException(
                $"The file {Quoted.Name(different)} {(written.Contains(different) ? "was written and is not in the record" : "is in the record and was not written")}.",
                nameof(content));
        }
    }

    private async Task<ImmutableArray<int>> TryCompleteAsync(
        Func<IOutputFolder, CancellationToken, Task>? beforeCommit, CancellationToken cancellationToken)
    {
        ImmutableArray<int> missing =
            [.. Enumerable.Range(0, _memberCount).Where(member => !File.Exists(System.IO.Path.Combine(_save.Path, RankManifest.FileName(member))))];
        if (!missing.IsEmpty)
        {
            return Directory.Exists(_save.Path) ? missing : throw new DirectoryNotFoundException($"{_save.Path} is gone.");
        }

        var shares = await SharedRecords.ReadAsync(_save.Path, Path, _id, _memberCount, cancellationToken).ConfigureAwait(false);
        OutputFailure.Explain(Path, () => shares.RemoveUnlisted(_calls, SaveLockFile.OfMember(_save.Path, _member)));
        lock (_lock)
        {
            _recorded = shares.Names;
        }

        if (beforeCommit is not null)
        {
            await beforeCommit(this, cancellationToken).ConfigureAwait(false);
        }

        lock (_lock)
        {
            if (_files.FirstOrDefault(file => !file.Value.HasEnded).Key is { } open)
            {
                throw new InvalidOperationException($"{Path}: the file {Quoted.Name(open)} is still being written; commit or dispose it first.");
            }

            _recorded = null;
        }

        cancellationToken.ThrowIfCancellationRequested();
        shares.EnsureCarried(Path);
        // Begun is ended: half of it is what must never be.
        await Task.Run(() => OutputFailure.Explain(Path, Commit), CancellationToken.None).ConfigureAwait(false);
        return [];
    }

    // Order: all content and names in the save folder are on disk; an ordinary temporary name, so that what a kill leaves from here
    // on is a leftover as any other; the target's name; the folder above on disk; what was replaced.
    private void Commit()
    {
        var finished = TemporaryName.Beside(Path);
        // Its file is not to come into the target; the turn keeps others away.
        _own.Dispose();
        _calls.MoveFolder(_save.Path, finished);
        string? replaced;
        try
        {
            replaced = FolderExchange.Replace(finished, Path, _overwrite, _calls);
        }
        catch
        {
            // The others' shares stay theirs.
            _calls.MoveFolder(finished, _save.Path);
            throw;
        }

        _isFinished = true;
        _above.Keep();
        _calls.FlushFolder(Parent);
        if (replaced is not null)
        {
            FolderExchange.DeleteReplaced(replaced, _calls);
        }

        Leftovers.Remove(Path, _calls);
        SaveFolder.RemoveAbandoned(Path, _calls);
    }

    private async Task WaitForTheOtherAsync(Exception exception, CancellationToken cancellationToken)
    {
        if (!await SharedRecords.AppearAsync(Path, _id, _memberCount, _calls, cancellationToken).ConfigureAwait(false))
        {
            throw new IOException(
                $"{Path}: something else has removed what the members of the save {Quoted.Name(_id)} had written; save the state again.", exception);
        }
    }
}
