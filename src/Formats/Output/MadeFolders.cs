namespace IlgpuLoader.Formats;

/// <summary>The missing folders above an output: made, and removed again if it does not appear. Not safe for several threads.</summary>
internal sealed class MadeFolders : IDisposable
{
    private readonly FileSystemCalls _calls;

    // The innermost first.
    private readonly List<string> _folders = [];
    private bool _areKept;

    private MadeFolders(FileSystemCalls calls) => _calls = calls;

    /// <summary>Makes a folder and those above it that are missing.</summary>
    /// <param name="folder">A full path.</param>
    /// <param name="calls">The calls of the system.</param>
    /// <exception cref="IOException">A folder cannot be made; none is left behind.</exception>
    /// <exception cref="UnauthorizedAccessException">A folder above may not be written to; none is left behind.</exception>
    public static MadeFolders Make(string folder, FileSystemCalls calls)
    {
        var made = new MadeFolders(calls);
        for (var missing = folder; missing is not null && !Directory.Exists(missing); missing = Path.GetDirectoryName(missing))
        {
            made._folders.Add(missing);
        }

        try
        {
            Directory.CreateDirectory(folder);
            return made;
        }
        catch
        {
            made.Dispose();
            throw;
        }
    }

    /// <summary>Says that the folders hold what they were made for, and stay.</summary>
    public void Keep() => _areKept = true;

    /// <summary>Forces the folders' own names to disk, without which what is in them cannot be found after a crash.</summary>
    public void Flush()
    {
        foreach (var folder in _folders)
        {
            _calls.FlushFolder(Path.GetDirectoryName(folder)!);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_areKept)
        {
            return;
        }

        foreach (var folder in _folders)
        {
            try
            {
                Directory.Delete(folder);
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Another run has put something into it meanwhile, or it was never made: what is there is not ours.
            }
        }

        _folders.Clear();
    }
}
