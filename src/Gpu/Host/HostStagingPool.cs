using System.Collections.Concurrent;

namespace IlgpuLoader.Gpu;

/// <summary>Staging slots in ordinary host memory: one block, cut into slots on page boundaries.</summary>
internal sealed class HostStagingPool : StagingPool
{
    private readonly Action _giveBack;
    private readonly ConcurrentBag<Memory<byte>> _free = [];
    private bool _disposed;

    /// <summary>Makes a pool over memory of its own.</summary>
    public HostStagingPool(HostDevice device, int slotBytes, int slotCount)
        : this((HostMemory)device.Allocate(BytesFor(slotBytes, slotCount)), slotBytes, slotCount, null)
    {
    }

    /// <summary>Makes a pool over memory that is there.</summary>
    /// <param name="block">As much as <see cref="BytesFor"/> says.</param>
    /// <param name="slotBytes">The size of a slot.</param>
    /// <param name="slotCount">How many.</param>
    /// <param name="giveBack">Called when the pool ends; null to free the memory.</param>
    public HostStagingPool(HostMemory block, int slotBytes, int slotCount, Action? giveBack)
    {
        SlotBytes = slotBytes;
        SlotCount = slotCount;
        _giveBack = giveBack ?? block.Dispose;
        for (var i = 0; i < slotCount; i++)
        {
            _free.Add(block.AsMemory(i * PitchOf(slotBytes), slotBytes));
        }
    }

    /// <summary>The memory of some slots.</summary>
    public static long BytesFor(int slotBytes, int slotCount)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slotBytes);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(slotCount);
        return checked(PitchOf(slotBytes) * slotCount);
    }

    public override int SlotBytes { get; }

    public override int SlotCount { get; }

    // Slots begin on pages, so that reads past the page cache can fill them.
    private static long PitchOf(int slotBytes) =>
        (slotBytes + (long)Environment.SystemPageSize - 1) / Environment.SystemPageSize * Environment.SystemPageSize;

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
            _giveBack();
        }
    }
}
