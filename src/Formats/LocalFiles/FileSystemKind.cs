namespace IlgpuLoader.Formats;

/// <summary>Where a file system has its bytes, as far as that decides how they are read best.</summary>
public enum FileSystemKind
{
    /// <summary>One that is not known, or whose direct reads gain nothing, as of those that compress or check what they read.</summary>
    Other,

    /// <summary>A disk of this machine.</summary>
    Disk,

    /// <summary>Memory: there is nothing behind the page cache.</summary>
    Memory,

    /// <summary>Another machine, or a process that serves the file.</summary>
    Remote,
}
