namespace IlgpuLoader.Formats;

/// <summary>How giving an unnamed file its name ended.</summary>
internal enum LinkOutcome
{
    /// <summary>The file has the name.</summary>
    Linked,
    /// <summary>Something has this name already, and a link never replaces.</summary>
    NameTaken,
    /// <summary>The system does not do it here.</summary>
    Refused,
}
