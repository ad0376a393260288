namespace IlgpuLoader.Formats;

/// <summary>
/// A folder that appears with all its files or not at all; without <see cref="Commit"/> nothing is left behind. On Linux its
/// files have no names until then, so that not even a run that is killed before leaves anything. Elsewhere, and for the files
/// beyond some hundreds that a process can hold open at a time, they are written into a hidden folder beside the target: that
/// is what a kill then leaves, as one in the middle of <see cref="Commit"/> does, and the next run for the target removes it.
/// </summary>
/// <remarks>
/// Files may be made and written from several threads; committing and disposing are for one, after them. A link at the end
/// of the path is followed: what it leads to is written, or replaced as a whole, and the link stays.
/// </remarks>
public sealed class AtomicFolder : IOutputFolder, IDisposable
{
    private readonly bool _overwrite;

    // Each file without a name takes a descriptor until the end; those beyond this go into the hidden folder at once.
    private readonly int _maximumUnnamedFiles;
    private readonly FileSystemCalls _calls;
    private readonly Lock _lock = new();

    // Null stands for a file that is still being written.
    private readonly SortedDictionary<string, UnfinishedFile?> _files = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, string> _links = new(StringComparer.Ordinal);
    private HiddenFolder? _hidden;
    private MadeFolders? _above;
    private int _unnamedFiles;
    private bool _hasEnded;

    private AtomicFolder(string path, bool overwrite, FileSystemCalls calls)
    {
        Path = path;
        _overwrite = overwrite;
        _calls = calls;
        _maximumUnnamedFiles = calls.CountSpareDescriptors();
    }

    /// <summary>Where the folder will appear: the full path, a link at its end followed.</summary>
    public string Path { get; }

    private string Parent => System.IO.Path.GetDirectoryName(Path)!;

    /// <summary>Begins a folder.</summary>
    /// <param name="path">
    /// Where the folder will appear; missing folders above it are made when they are needed, and removed if this one does not
    /// appear.
    /// </param>
    /// <param name="overwrite">Whether a folder that is there and not empty is replaced as a whole.</param>
    /// <exception cref="ArgumentException">The path is empty, or an address.</exception>
    /// <exception cref="IOException">
    /// A file, or a folder that is not empty, is there and may not be replaced, or no folder can be made there. The message
    /// begins with the path.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">A folder above may not be written to.</exception>
    public static AtomicFolder Create(string path, bool overwrite = false) => Create(path, overwrite, FileSystemCalls.Native);

    internal static AtomicFolder Create(string path, bool overwrite, FileSystemCalls calls)
    {
        OutputPath.ThrowIfNoPath(path);
        var given = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        var full = OutputFailure.Explain(given, () => OutputPath.ResolveFolder(path));
        return OutputFailure.Explain(full, () =>
        {
            Leftovers.Remove(full, calls);
            OutputPath.CheckFolder(full, overwrite);
            return new AtomicFolder(full, overwrite, calls);
        });
    }

    /// <summary>
    /// Begins a file of the folder. <see cref="AtomicFile.CommitAsync"/> forces its bytes to disk; its name appears with the
    /// folder's.
    /// </summary>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="length">The size in bytes if it is known: the space is then taken now.</param>
    /// <returns>The file, which is the caller's to dispose.</returns>
    /// <exception cref="ArgumentException">The name is no base name, or is another file's.</exception>
    /// <exception cref="IOException">The file cannot be made, or the disk is full. The message begins with the path.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be written to.</exception>
    /// <exception cref="ObjectDisposedException">The folder was committed or disposed.</exception>
    public AtomicFile CreateFile(string name, long length = 0)
    {
        OutputPath.ThrowIfNoBaseName(name);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_hasEnded, this);
            if (_links.ContainsKey(name) || !_files.TryAdd(name, null))
            {
                throw new ArgumentException($"The folder has a file {Quoted.Name(name)} already.", nameof(name));
            }

            try
            {
                var path = System.IO.Path.Combine(Path, name);
                return new AtomicFile(path, length, overwrite: false, Open(path, length), this, _calls);
            }
            catch
            {
                _files.Remove(name);
                throw;
            }
        }
    }

    /// <summary>Writes a whole small file of the folder.</summary>
    /// <param name="name">The file's base name, which no other file of the folder has.</param>
    /// <param name="content">Its bytes; they stay the caller's.</param>
    /// <param name="cancellationToken">Ends the work; the folder is then without this file.</param>
    /// <inheritdoc cref="CreateFile" path="/exception"/>
    public Task WriteAllBytesAsync(string name, ReadOnlyMemory<byte> content, CancellationToken cancellationToken = default) =>
        AtomicFile.WriteAllBytesAsync(CreateFile(name, content.Length), content, cancellationToken);

    /// <summary>
    /// Gives a file of the folder another name: by a hard link where the file system has them, else by a copy, when the folder
    /// is committed.
    /// </summary>
    /// <param name="name">The other base name, which no file of the folder has.</param>
    /// <param name="file">The base name of a file of the folder.</param>
    /// <exception cref="ArgumentException">The name is no base name, or is another file's, or there is no such file.</exception>
    /// <exception cref="ObjectDisposedException">The folder was committed or disposed.</exception>
    public void AddLink(string name, string file)
    {
        OutputPath.ThrowIfNoBaseName(name);
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_hasEnded, this);
            if (!_files.ContainsKey(file))
            {
                throw new ArgumentException($"The folder has no file {Quoted.Name(file)}.", nameof(file));
            }

            if (_files.ContainsKey(name) || !_links.TryAdd(name, file))
            {
                throw new ArgumentException($"The folder has a file {Quoted.Name(name)} already.", nameof(name));
            }
        }
    }

    /// <summary>Makes the folder appear with all files that were committed. May be called once.</summary>
    /// <exception cref="InvalidOperationException">A file was neither committed nor disposed.</exception>
    /// <exception cref="IOException">
    /// The disk failed, or something has come to the target meanwhile. What is there is as it was, unless only forcing the
    /// folders above to disk or removing the replaced folder failed. The message begins with the path.
    /// </exception>
    /// <exception cref="UnauthorizedAccessException">The folder above may not be written to.</exception>
    /// <exception cref="ObjectDisposedException">The folder was committed or disposed.</exception>
    public void Commit()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_hasEnded, this);
            if (_files.FirstOrDefault(file => file.Value is null).Key is { } open)
            {
                throw new InvalidOperationException($"{Path}: the file {Quoted.Name(open)} is still being written; commit or dispose it first.");
            }

            OutputFailure.Explain(Path, Finish);
            _hasEnded = true;
        }
    }

    /// <summary>Removes what was written if it was not committed. Files that are still open are their owner's to dispose.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _hasEnded = true;
            OutputFailure.Explain(Path, () =>
            {
                foreach (var file in _files.Values)
                {
                    file?.Dispose();
                }

                _files.Clear();
                _hidden?.Dispose();
                _above?.Dispose();
            });
        }
    }

    // Called by a file whose bytes are on disk: it waits for its name here.
    internal void Keep(AtomicFile owner, UnfinishedFile file)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_hasEnded, this);
            if (!file.IsUnnamed)
            {
                file.Handle.Dispose();
            }

            _files[System.IO.Path.GetFileName(owner.Path)] = file;
        }
    }

    // Called by a file that is disposed; one that was kept stays.
    internal void Drop(AtomicFile owner, UnfinishedFile file)
    {
        lock (_lock)
        {
            var name = System.IO.Path.GetFileName(owner.Path);
            if (_files.TryGetValue(name, out var kept) && kept == file)
            {
                return;
            }

            if (_hasEnded)
            {
                // Without its folder, or never to come into it.
                file.Handle.Dispose();
                return;
            }

            _unnamedFiles -= file.IsUnnamed ? 1 : 0;
            file.Dispose();
            _files.Remove(name);
        }
    }

    private UnfinishedFile Open(string path, long length)
    {
        var above = OutputPath.FindFolderAbove(Path);
        OutputPath.CheckName(above, path);
        var file = _unnamedFiles < _maximumUnnamedFiles
            ? OutputFailure.Explain(path, () => UnfinishedFile.TryCreateUnnamed(path, above, length, _calls), length)
            : null;
        if (file is not null)
        {
            _unnamedFiles++;
            return file;
        }

        var hidden = OutputFailure.Explain(Path, Hide);
        return OutputFailure.Explain(path, () => UnfinishedFile.CreateWithin(path, hidden.Path, length, _calls), length);
    }

    private HiddenFolder Hide()
    {
        _above ??= MadeFolders.Make(Parent, _calls);
        return _hidden ??= HiddenFolder.Create(Path, _calls);
    }

    // Order: content on disk (each file's own commit), names in the hidden folder, its entries on disk, its name, the folders
    // above on disk.
    private void Finish()
    {
        var hidden = Hide();
        foreach (var (name, file) in _files)
        {
            file!.GiveName(System.IO.Path.Combine(hidden.Path, name), overwrite: false);
        }

        foreach (var (name, file) in _links)
        {
            Link(System.IO.Path.Combine(hidden.Path, file), System.IO.Path.Combine(hidden.Path, name));
        }

        _calls.FlushFolder(hidden.Path);
        Replace(hidden);
    }

    private void Link(string existing, string path)
    {
        // As with unnamed files: the call goes through Linux's /proc.
        if (OperatingSystem.IsLinux())
        {
            using var handle = File.OpenHandle(existing);
            if (_calls.Link(handle, path) == LinkOutcome.Linked)
            {
                return;
            }
        }

        File.Copy(existing, path);
        using var copy = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
        _calls.FlushFile(copy);
    }

    private void Replace(HiddenFolder hidden)
    {
        var replaced = FolderExchange.Replace(hidden.Path, Path, _overwrite, _calls);
        hidden.MarkMoved();
        _above!.Keep();
        _calls.FlushFolder(Parent);
        _above.Flush();
        if (replaced is not null)
        {
            FolderExchange.DeleteReplaced(replaced, _calls);
        }
    }
}
