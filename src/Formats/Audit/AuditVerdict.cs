namespace IlgpuLoader.Formats;

/// <summary>What is to be thought of a file that may hold pickles, from harmless to harmful.</summary>
public enum AuditVerdict
{
    /// <summary>All that it would import is on the list of what checkpoints need, or it holds no pickle.</summary>
    Safe,
    /// <summary>It would import what is on no list: Python's <c>torch.load</c> without <c>weights_only</c> runs that code.</summary>
    UnknownGlobals,
    /// <summary>It could not be read, so that nobody knows.</summary>
    Unreadable,
    /// <summary>It breaks a rule of its format; what is behind the break was not seen.</summary>
    Broken,
    /// <summary>It would run code of its own choosing.</summary>
    Unsafe,
}
