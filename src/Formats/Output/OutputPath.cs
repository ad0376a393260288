namespace IlgpuLoader.Formats;

/// <summary>Where an output really goes, and whether it can go there: found out before any work.</summary>
internal static class OutputPath
{
    // How many links Linux follows before it calls them a circle, path_resolution(7).
    private const int MostLinks = 40;

    /// <summary>Refuses an address, which would be a folder such as <c>s3:</c> below the current one: what is written is local. A path that looks like one is given with <c>./</c> before it.</summary>
    /// <param name="path">The path as it was given.</param>
    /// <exception cref="ArgumentException">It is none, or an address.</exception>
    public static void ThrowIfNoPath(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        if (AddressScheme.Of(path) is not null)
        {
            throw new ArgumentException($"{Quoted.Name(AddressScheme.WithoutSecrets(path))} is an address, and what is written is local: give a path.", nameof(path));
        }
    }

    /// <summary>Resolves the path of a file that is to be written.</summary>
    /// <param name="path">The path as it was given.</param>
    /// <returns>
    /// The full path. A link at its end is not followed but replaced: in a snapshot of a Hub cache it leads to a blob that other
    /// snapshots share.
    /// </returns>
    /// <exception cref="IOException">No file can have this path.</exception>
    public static string ResolveFile(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var full = Path.GetFullPath(path);
        return Path.EndsInDirectorySeparator(full)
            ? throw new IOException($"{full}: this names a folder; name a file in it.")
            : full;
    }

    /// <summary>Resolves the path of a folder that is to be written.</summary>
    /// <param name="path">The path as it was given.</param>
    /// <returns>The full path; a link at its end is followed, so that what it leads to is written and the link stays.</returns>
    /// <exception cref="IOException">No folder can be made under this path.</exception>
    public static string ResolveFolder(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var given = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        var full = FollowLinks(given);
        return Path.GetDirectoryName(full) is null
            ? throw new IOException($"{given}: this is the root of a file system, which cannot be replaced; name a folder in it.")
            : full;
    }

    /// <summary>Refuses what is no name of a file in a folder.</summary>
    /// <exception cref="ArgumentException">It is empty, a path, or one of the names that every folder has.</exception>
    public static void ThrowIfNoBaseName(string name)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        if (!IsBaseName(name))
        {
            throw new ArgumentException($"{Quoted.Name(name)} is no name of a file in a folder.", nameof(name));
        }
    }

    /// <summary>Whether this is the name of a file in a folder, on every system.</summary>
    public static bool IsBaseName(ReadOnlySpan<char> name) =>
        name is not ("" or "." or "..") && name.IndexOfAny('/', '\\', '\0') < 0;

    /// <summary>Refuses what a file cannot take the name of.</summary>
    /// <param name="full">The resolved path.</param>
    /// <param name="overwrite">Whether a regular file is replaced.</param>
    /// <exception cref="IOException">Something has the name that is no regular file or may not be replaced, or nothing can have it.</exception>
    public static void CheckFile(string full, bool overwrite)
    {
        var kind = GetKind(full);
        if (kind is not (EntryKind.Missing or EntryKind.File))
        {
            throw new IOException($"{full}: this is {Describe(kind)}, which is never replaced by a file; choose another name.");
        }

        // A link to nothing has the name as well.
        if (!overwrite && (kind == EntryKind.File || new FileInfo(full).LinkTarget is not null))
        {
            throw new IOException($"{full}: {OutputFailure.DescribeTaken()}");
        }
    }

    /// <summary>Refuses what a folder cannot take the name of, and folders above it that cannot be made.</summary>
    /// <param name="full">The resolved path.</param>
    /// <param name="overwrite">Whether a folder that is not empty is replaced.</param>
    /// <exception cref="IOException">Something has the name that may not be replaced, or nothing can have it.</exception>
    /// <exception cref="UnauthorizedAccessException">Nothing may be made in the nearest folder above.</exception>
    public static void CheckFolder(string full, bool overwrite)
    {
        var kind = GetKind(full);
        if (kind is not (EntryKind.Missing or EntryKind.Folder or EntryKind.File))
        {
            throw new IOException($"{full}: this is {Describe(kind)}, which is never replaced by a folder; choose another name.");
        }

        if (kind == EntryKind.File || (kind == EntryKind.Folder && !overwrite && Directory.EnumerateFileSystemEntries(full).Any()))
        {
            throw new IOException($"{full}: this already exists and would be replaced; choose another name or remove it first.");
        }

        var above = FindFolderAbove(full);
        var error = PathProbe.FindWriteError(above);
        if (error is SystemError.AccessDenied or SystemError.NotPermitted or SystemError.ReadOnly)
        {
            throw OutputFailure.Of(full, error);
        }
    }

    /// <summary>The nearest folder above a path that is there: the path's own, once it is made, is on the same file system.</summary>
    /// <exception cref="IOException">What is there is no folder, or a name below it cannot be one.</exception>
    public static string FindFolderAbove(string full)
    {
        for (var above = Path.GetDirectoryName(full); above is not null; above = Path.GetDirectoryName(above))
        {
            var kind = GetKind(above, full);
            if (kind == EntryKind.Folder)
            {
                CheckNames(above, full);
                return above;
            }

            if (kind != EntryKind.Missing)
            {
                throw new IOException($"{full}: {above} is {Describe(kind)} and no folder; choose another.");
            }

            if (new FileInfo(above).LinkTarget is not null)
            {
                throw new DirectoryNotFoundException($"{full}: {above} is a link to a folder that does not exist; make that first.");
            }
        }

        throw new DirectoryNotFoundException($"{full}: there is no {Path.GetPathRoot(full)}; choose another folder.");
    }

    /// <summary>Refuses a name that the file system of a folder does not allow.</summary>
    /// <param name="folder">A folder that is there.</param>
    /// <param name="full">The path of the output, whose last name will be in a folder of that file system.</param>
    /// <exception cref="PathTooLongException">The name is too long.</exception>
    public static void CheckName(string folder, string full) => _ = GetKind(Path.Combine(folder, Path.GetFileName(full)), full);

    /// <summary>A path itself if it is a folder, else the nearest one above it that is.</summary>
    public static string FindNearestFolder(string full)
    {
        var folder = full;
        while (!Directory.Exists(folder) && Path.GetDirectoryName(folder) is { } above)
        {
            folder = above;
        }

        return folder;
    }

    private static void CheckNames(string above, string full)
    {
        // A name below a folder that is missing is never looked up, so that each is tried where there is a folder.
        foreach (var name in Path.GetRelativePath(above, full).Split(Path.DirectorySeparatorChar))
        {
            _ = GetKind(Path.Combine(above, name), full);
        }
    }

    private static EntryKind GetKind(string path, string? output = null)
    {
        var kind = PathProbe.KindOf(path, out var error);
        return error == 0 ? kind : throw OutputFailure.Of(output ?? path, error);
    }

    private static string FollowLinks(string full)
    {
        var path = full;
        for (var links = 0; new FileInfo(path).LinkTarget is { } target; links++)
        {
            if (links == MostLinks)
            {
                throw OutputFailure.Of(full, SystemError.LinksInACircle);
            }

            var next = Path.TrimEndingDirectorySeparator(Path.Combine(RealFolder(path), target));
            // What is above the name is resolved by the system: "..", behind a link, is not the folder above the link.
            path = Path.GetDirectoryName(next) is null ? next : Path.GetFullPath(Path.Combine(RealFolder(next), Path.GetFileName(next)));
        }

        // The links of /proc lead to open files, whatever is written in them: to a pipe that has no name, say.
        return PathProbe.KindOf(full, out _) is EntryKind.Missing or EntryKind.File or EntryKind.Folder ? path : full;
    }

    private static string RealFolder(string path)
    {
        var folder = Path.GetDirectoryName(path)!;
        return PathProbe.FindRealPath(folder) ?? folder;
    }

    private static string Describe(EntryKind kind) => kind switch
    {
        EntryKind.Folder => "a folder",
        EntryKind.CharacterDevice => "a character device",
        EntryKind.BlockDevice => "a block device",
        EntryKind.Pipe => "a pipe",
        EntryKind.Socket => "a socket",
        _ => "a file",
    };
}
