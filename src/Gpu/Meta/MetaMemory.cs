namespace IlgpuLoader.Gpu;

/// <summary>An allocation that has a size and an identity, and no bytes.</summary>
internal sealed class MetaMemory(MetaDevice device, long length) : DeviceMemory(device, length)
{
    /// <inheritdoc/>
    protected override void Free()
    {
    }
}
