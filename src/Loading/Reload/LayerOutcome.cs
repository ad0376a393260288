namespace IlgpuLoader.Loading;

/// <summary>What a reload did with a layer.</summary>
public enum LayerOutcome
{
    /// <summary>It has its new weights.</summary>
    New,

    /// <summary>Weights were missing: it has its old ones.</summary>
    Incomplete,

    /// <summary>Somebody read it for too long: it has its old weights.</summary>
    Busy,

    /// <summary>The reload ended before it: it has its old weights.</summary>
    NotReached,

    /// <summary>Its new weights could not be loaded or processed: it has its old ones.</summary>
    Failed,

    /// <summary>The device failed while it was written: nobody knows what it has until a later reload succeeds.</summary>
    Torn,
}
