using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>What a plan takes of one device's memory, held against what was free when it was asked.</summary>
/// <param name="Device">The device.</param>
/// <param name="TensorBytes">The bytes of the tensors there.</param>
/// <param name="StagingBytes">The bytes of the staging slots there, and of what gathering views and decoding take beside them.</param>
/// <param name="FreeBytes">What could be allocated, in bytes.</param>
/// <param name="TotalBytes">All memory of the device in bytes; 0 where it has none.</param>
public sealed record MemoryNeed(Device Device, long TensorBytes, long StagingBytes, long FreeBytes, long TotalBytes)
{
    /// <summary>The bytes of both.</summary>
    /// <exception cref="OverflowException">They do not fit a <see cref="long"/>.</exception>
    public long NeededBytes => checked(TensorBytes + StagingBytes);

    /// <summary>Whether it fits.</summary>
    public bool Fits => NeededBytes <= FreeBytes;
}
