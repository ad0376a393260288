namespace IlgpuLoader.Formats;

/// <summary>How giving a file its name without replacing anything ended.</summary>
internal enum LinkOutcome
{
    /// <summary>The file has the name.</summary>
    Linked,
    /// <summary>Something has this name already, and it was not replaced.</summary>
    NameTaken,
    /// <summary>The system does not do it here; another way may do.</summary>
    Refused,
}
