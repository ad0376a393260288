using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <content>Page-locked host memory.</content>
public sealed partial class IlgpuDevice
{
    // Locking pages takes a good part of a second for each gigabyte: what a load has locked is kept for the next one, up to
    // what a load stages in by default (LoadOptions.DefaultStagingBytes).
    private const long KeptPageLockedBytes = 256L << 20;

    private readonly Lock _pageLockedLock = new();
    private readonly List<HostMemory> _pageLocked = [];

    /// <inheritdoc/>
    /// <remarks>OpenCL has no such thing that ILGPU knows of.</remarks>
    public override bool UsesPageLockedMemory => Kind == DeviceKind.Cuda;

    /// <inheritdoc/>
    /// <remarks>The slots are page-locked where the driver has such a thing, so that uploads run beside the host.</remarks>
    public override StagingPool CreateStagingPool(int slotBytes, int slotCount)
    {
        ThrowIfDisposed();
        var bytes = HostStagingPool.BytesFor(slotBytes, slotCount);
        var block = TakePageLocked(bytes) ?? HostDevice.Shared.AllocatePageLocked(bytes, this);
        return new HostStagingPool(block, slotBytes, slotCount, () => GiveBack(block));
    }

    /// <inheritdoc/>
    protected internal override IDisposable? LockPages(nint address, long bytes)
    {
        ThrowIfDisposed();
        try
        {
            // Portable: locked for every context, so that other members of a group copy from the same slots.
            return Accelerator.CreatePageLockFromPinned<byte>(address, bytes);
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

    private HostMemory? TakePageLocked(long bytes)
    {
        lock (_pageLockedLock)
        {
            var index = _pageLocked.FindIndex(block => block.Length == bytes);
            if (index < 0)
            {
                return null;
            }

            var found = _pageLocked[index];
            _pageLocked.RemoveAt(index);
            return found;
        }
    }

    private void GiveBack(HostMemory block)
    {
        lock (_pageLockedLock)
        {
            if (Volatile.Read(ref _disposed) == 0 && _pageLocked.Sum(kept => kept.Length) + block.Length <= KeptPageLockedBytes)
            {
                _pageLocked.Add(block);
                return;
            }
        }

        block.Dispose();
    }

    private void DisposePageLocked()
    {
        lock (_pageLockedLock)
        {
            _pageLocked.ForEach(block => block.Dispose());
            _pageLocked.Clear();
        }
    }
}
