namespace IlgpuLoader.Loading;

/// <summary>Locks of blobs of one repository that are held until the end. Not safe for several threads.</summary>
/// <param name="cache">The cache's folder.</param>
/// <param name="repository">The repository.</param>
/// <param name="writesNothing">Whether no lock file is made: a lock whose file is not there counts as free.</param>
internal sealed class CacheLocks(string cache, HubRepository repository, bool writesNothing) : IDisposable
{
    private readonly string _folder = Path.Combine(cache, HubCache.LocksFolder, repository.FolderName);
    private readonly Dictionary<string, FileLock?> _held = new(StringComparer.Ordinal);

    /// <summary>Takes the lock of a blob.</summary>
    /// <param name="tag">The blob's name.</param>
    /// <returns>Whether it is ours, or has no file and none is made.</returns>
    /// <exception cref="IOException">The file cannot be made or opened.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be made or opened.</exception>
    public bool TryHold(string tag)
    {
        var path = PathOf(tag);
        if (_held.ContainsKey(path))
        {
            return true;
        }

        if (writesNothing && !File.Exists(path))
        {
            _held.Add(path, null);
            return true;
        }

        Directory.CreateDirectory(_folder);
        if (FileLock.TryTake(path, FileLock.OfGroup) is not { } taken)
        {
            return false;
        }

        _held.Add(path, taken);
        return true;
    }

    /// <summary>Whether somebody holds another lock of the repository at this moment.</summary>
    /// <inheritdoc cref="TryHold" path="/exception"/>
    public bool IsAnyOtherHeld()
    {
        if (!Directory.Exists(_folder))
        {
            return false;
        }

        foreach (var path in Directory.EnumerateFiles(_folder, "*.lock").Where(path => !_held.ContainsKey(path)))
        {
            using var taken = FileLock.TryTake(path, FileLock.OfGroup);
            if (taken is null)
            {
                return true;
            }
        }

        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var taken in _held.Values)
        {
            taken?.Dispose();
        }
    }

    private string PathOf(string tag) => Path.Combine(_folder, tag + ".lock");
}
