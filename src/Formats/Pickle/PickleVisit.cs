namespace IlgpuLoader.Formats.Pickle;

/// <summary>How far a walk has come with a container.</summary>
internal enum PickleVisit : byte
{
    /// <summary>It was not met.</summary>
    None,
    /// <summary>Its children are being walked.</summary>
    Within,
    /// <summary>It and its children are done.</summary>
    Done,
}
