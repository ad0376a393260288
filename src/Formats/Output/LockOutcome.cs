namespace IlgpuLoader.Formats;

/// <summary>How the attempt to lock something ended.</summary>
internal enum LockOutcome
{
    /// <summary>The lock is held until the handle is closed.</summary>
    Taken,
    /// <summary>Another handle, of this process or of another, holds it.</summary>
    HeldByAnother,
    /// <summary>The file system has no locks: nothing can be said about others.</summary>
    Unavailable,
}
