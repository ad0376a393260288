namespace IlgpuLoader.Loading;

/// <summary>What a measurement is held against.</summary>
public enum MeasuredAgainst
{
    /// <summary>What the machine can do by itself, measured without the loader.</summary>
    Limit,

    /// <summary>Another program that does the same.</summary>
    Peer,

    /// <summary>Another way to the same result with this library.</summary>
    Baseline,
}
