namespace IlgpuLoader.Microbenchmarks;

/// <summary>How an operation stands to its allocation budget.</summary>
internal enum AllocationVerdict
{
    /// <summary>Within it.</summary>
    Kept,

    /// <summary>So far within it that it should be lowered.</summary>
    FarBelow,

    /// <summary>Beyond it: the check fails.</summary>
    Above,

    /// <summary>There is none: the check fails.</summary>
    WithoutBudget,

    /// <summary>There is one and no such operation: the check fails.</summary>
    Unmeasured,
}
