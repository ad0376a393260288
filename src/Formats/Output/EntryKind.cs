namespace IlgpuLoader.Formats;

/// <summary>What a name leads to, links followed.</summary>
internal enum EntryKind
{
    /// <summary>Nothing, or what may not be seen.</summary>
    Missing,
    /// <summary>A regular file.</summary>
    File,
    /// <summary>A folder.</summary>
    Folder,
    /// <summary>A device of characters, such as a terminal or <c>/dev/null</c>.</summary>
    CharacterDevice,
    /// <summary>A device of blocks, such as a disk.</summary>
    BlockDevice,
    /// <summary>A pipe with a name (FIFO).</summary>
    Pipe,
    /// <summary>A socket.</summary>
    Socket,
}
