namespace IlgpuLoader.Gpu;

/// <summary>Sixteen bytes that a device moves in one instruction.</summary>
internal struct Word16
{
    /// <summary>The first eight bytes, little-endian.</summary>
    public long Low;

    /// <summary>The last eight bytes, little-endian.</summary>
    public long High;
}
