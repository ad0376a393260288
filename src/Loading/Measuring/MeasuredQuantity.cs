namespace IlgpuLoader.Loading;

/// <summary>What a measurement is in; less is better of each.</summary>
public enum MeasuredQuantity
{
    /// <summary>Seconds.</summary>
    Seconds,

    /// <summary>Bytes, as of memory or of what was read.</summary>
    Bytes,
}
