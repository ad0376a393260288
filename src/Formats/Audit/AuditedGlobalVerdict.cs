namespace IlgpuLoader.Formats;

/// <summary>What is to be thought of a global that a pickle names.</summary>
public enum AuditedGlobalVerdict
{
    /// <summary>It is on the list of what checkpoints need.</summary>
    Allowed,
    /// <summary>It is on no list: read as an inert record where <see cref="Torch.TorchLimits.AllowUnknownGlobals"/> admits it.</summary>
    Unknown,
    /// <summary>It is refused always.</summary>
    Refused,
}
