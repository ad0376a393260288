using System.Collections.Concurrent;

namespace IlgpuLoader.Gpu;

/// <summary>Staging slots in ordinary host memory: one block, cut into slots on page boundaries.</summary>
internal sealed class HostStagingPool : StagingPool
{
    private readonly DeviceMemory _block;
    private readonly ConcurrentBag<Memory<byte>> _free = [];
    private bool _disposed;

    public HostStagingPool(HostDevice device, int slotBytes, int slotCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slotBytes);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slotCount);
        SlotBytes = slotBytes;
        SlotCount = slotCount;
        // Slots begin on pages, so that reads past the page cache can fill them.
        var pitch = (slotBytes + (long)Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize;
        _block = device.Allocate(checked(pitch * slotCount));
        for (var i = 0; i < slotCount; i++)
        {
            _free.Add(((HostMemory)_block).AsMemory(i * pitch, slotBytes));
        }
    }

    public override int SlotBytes { get; }

    public override int SlotCount { get; }

    protected override bool TryTake(out Memory<byte> slot)
    {
        // A slot would be freed memory.
        ObjectDisposedException.ThrowIf(_disposed, this);
        return _free.TryTake(out slot);
    }

    protected override void PutBack(Memory<byte> slot) => _free.Add(slot);

    protected override void Dispose(bool disposing)
    {
        if (disposing && !_disposed)
        {
            _disposed = true;
            _block.Dispose();
        }
    }
}
