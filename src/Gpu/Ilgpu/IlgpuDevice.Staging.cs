using ILGPU.Runtime;

namespace IlgpuLoader.Gpu;

/// <content>Page-locked host memory.</content>
public sealed partial class IlgpuDevice
{
    // Locking pages takes a good part of a second for each gigabyte: what a load has locked is kept for the next one, up to
    // what a load stages in by default (LoadOptions.DefaultStagingBytes).
    private const long KeptPageLockedBytes = 256L << 20;

    private readonly Lock _pageLockedLock = new();
    private readonly List<PageLockedBlock> _pageLocked = [];

    /// <inheritdoc/>
    /// <remarks>The slots are page-locked where the driver has such a thing, so that uploads run beside the host.</remarks>
    public override StagingPool CreateStagingPool(int slotBytes, int slotCount)
    {
        ThrowIfDisposed();
        var bytes = HostStagingPool.BytesFor(slotBytes, slotCount);
        var block = TakePageLocked(bytes) ?? PageLockedBlock.Allocate(this, bytes);
        return new HostStagingPool(block.Memory, slotBytes, slotCount, () => GiveBack(block));
    }

    private PageLockedBlock? TakePageLocked(long bytes)
    {
        lock (_pageLockedLock)
        {
            var index = _pageLocked.FindIndex(block => block.Memory.Length == bytes);
            if (index < 0)
            {
                return null;
            }

            var found = _pageLocked[index];
            _pageLocked.RemoveAt(index);
            return found;
        }
    }

    private void GiveBack(PageLockedBlock block)
    {
        lock (_pageLockedLock)
        {
            if (Volatile.Read(ref _disposed) == 0 && _pageLocked.Sum(kept => kept.Memory.Length) + block.Memory.Length <= KeptPageLockedBytes)
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

    private sealed class PageLockedBlock(HostMemory memory, PageLockScope<byte>? pageLock) : IDisposable
    {
        public HostMemory Memory => memory;

        public static PageLockedBlock Allocate(IlgpuDevice device, long bytes)
        {
            var memory = (HostMemory)HostDevice.Shared.Allocate(bytes);
            try
            {
                return new PageLockedBlock(memory, bytes == 0 ? null : device.Accelerator.CreatePageLockFromPinned<byte>(memory.Address, bytes));
            }
            catch (Exception exception)
            {
                memory.Dispose();
                if (IlgpuErrors.IsOfDriver(exception) || IlgpuErrors.IsOutOfMemory(exception))
                {
                    throw new DeviceMemoryException(
                        HostDevice.Shared.Id,
                        bytes,
                        HostDevice.Shared.FreeMemory,
                        $"The driver of {device.Id} could not lock their pages: {IlgpuErrors.Describe(exception)}. Allow more locked memory (ulimit -l) or stage in less (--memory).",
                        exception);
                }

                throw;
            }
        }

        public void Dispose()
        {
            // Before the pages go.
            pageLock?.Dispose();
            memory.Dispose();
        }
    }
}
