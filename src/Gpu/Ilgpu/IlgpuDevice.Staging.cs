using ILGPU.Runtime.Cuda;

namespace IlgpuLoader.Gpu;

/// <content>Page-locked host memory.</content>
public sealed partial class IlgpuDevice
{
    // Locking pages takes a good part of a second for each gigabyte: what a load has locked is kept for the next one, up to
    // what a load stages in by default (LoadOptions.DefaultStagingBytes).
    private const long MostKeptBytes = 256L << 20;

    // A plan counts them as taken, and its own staging again: at most as much too careful as is kept, on a machine that is that full.
    private readonly KeptBlocks _pageLocked = new(MostKeptBytes);

    /// <inheritdoc/>
    /// <remarks>OpenCL has no such thing that ILGPU knows of.</remarks>
    public override bool UsesPageLockedMemory => Kind == DeviceKind.Cuda;

    /// <summary>The bytes of page-locked memory that are kept for the next load.</summary>
    internal long KeptPageLockedBytes => _pageLocked.Bytes;

    /// <inheritdoc/>
    /// <remarks>The slots are page-locked where the driver has such a thing, so that uploads run beside the host.</remarks>
    public override StagingPool CreateStagingPool(int slotBytes, int slotCount)
    {
        ThrowIfDisposed();
        if (!UsesPageLockedMemory)
        {
            // Nothing is locked, so that keeping it would only take it from others.
            return HostDevice.Shared.CreateStagingPool(slotBytes, slotCount);
        }

        var bytes = HostStagingPool.BytesFor(slotBytes, slotCount);
        var block = _pageLocked.Take(bytes) ?? HostDevice.Shared.AllocatePageLocked(bytes, this);
        return new HostStagingPool(block, slotBytes, slotCount, () => _pageLocked.Give(block));
    }

    /// <inheritdoc/>
    /// <remarks>The stored bytes of one slot, from where a kernel decodes them; allocations are rounded up.</remarks>
    public override long ScratchBytesFor(int slotBytes) =>
        ((long)slotBytes + IlgpuMemory.Granularity - 1) / IlgpuMemory.Granularity * IlgpuMemory.Granularity;

    /// <inheritdoc/>
    protected internal override IDisposable? LockPages(nint address, long bytes)
    {
        ThrowIfDisposed();
        try
        {
            return Accelerator is CudaAccelerator cuda ? new CudaPageLock(cuda, address, bytes) : null;
        }
        catch (Exception exception) when (IlgpuErrors.IsOfDriver(exception) || IlgpuErrors.IsRefusedAllocation(exception))
        {
            throw new DeviceMemoryException(
                HostDevice.Shared.Id,
                bytes,
                HostDevice.Shared.FreeMemory,
                $"The driver of {Id} could not lock their pages: {IlgpuErrors.Describe(exception)}. Allow more locked memory (ulimit -l), or stage (--memory) or offload less.",
                exception);
        }
    }
}
