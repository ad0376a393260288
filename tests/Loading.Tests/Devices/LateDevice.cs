using System.Collections.Concurrent;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading.Tests;

/// <summary>When the work of a <see cref="LateDevice"/> is done.</summary>
public enum Lateness
{
    /// <summary>On another thread, some time after it was given.</summary>
    Soon,

    /// <summary>Only when somebody waits for it: as late as it can be.</summary>
    WhenWaitedFor,
}

/// <summary>
/// A device like a GPU whose memory is an array: work on it is done after it was given, so that a slot which is reused too
/// early shows as wrong bytes. Counts slots and bytes, fails where it is told to, and notes what a driver would not survive.
/// </summary>
public sealed class LateDevice : Device
{
    private readonly ConcurrentQueue<string> _violations = new();
    private readonly ConcurrentQueue<(string What, int RentsBefore)> _prepared = new();
    private long _peakBytes;
    private long _staging;
    private long _peakStaging;
    private int _allocations;
    private int _fences;
    private int _rents;
    private int _rented;
    private int _locks;
    private int _peakRented;

    public override DeviceKind Kind => DeviceKind.Cuda;

    public override string Name => "a device that works late";

    public override string Id => $"late:{Index}";

    public override long TotalMemory => FreeMemory;

    public override long FreeMemory => Free;

    public override int PreferredSlotBytes => SlotBytes;

    public override bool UsesPageLockedMemory => UsesLockedPages;

    /// <summary>Whether it says that it wants page-locked slots, which its pool's are as good as.</summary>
    public bool UsesLockedPages { get; init; }

    /// <summary>Its number in its id.</summary>
    public int Index { get; init; }

    /// <summary>What the device says is free.</summary>
    public long Free { get; init; } = 1L << 40;

    /// <summary>The slots it prefers.</summary>
    public int SlotBytes { get; init; } = 1024;

    /// <summary>When its work is done.</summary>
    public Lateness Lateness { get; init; } = Lateness.Soon;

    /// <summary>The allocation that fails, counted from 1; 0 for none.</summary>
    public int FailingAllocation { get; init; }

    /// <summary>The fence whose wait fails, counted from 1; 0 for none.</summary>
    public int FailingFence { get; init; }

    /// <summary>The largest number of bytes that were allocated at a time.</summary>
    public long PeakBytes => Interlocked.Read(ref _peakBytes);

    /// <summary>Begins the largest number of bytes anew, with those that are allocated now.</summary>
    public void ForgetPeak() => Interlocked.Exchange(ref _peakBytes, LiveBytes);

    /// <summary>The largest number of bytes that pools of slots had at a time.</summary>
    public long PeakStagingBytes => Interlocked.Read(ref _peakStaging);

    /// <summary>Whether it says that its streams decode from memory of its own.</summary>
    public bool TakesScratch { get; init; }

    /// <summary>How often a slot was handed out.</summary>
    public int Rents => Volatile.Read(ref _rents);

    /// <summary>The slots that are handed out now, of all pools.</summary>
    public int Rented => Volatile.Read(ref _rented);

    /// <summary>The most slots of one pool that were handed out at a time.</summary>
    public int PeakRented => Volatile.Read(ref _peakRented);

    /// <summary>What it was told to prepare, in order, each with the slots that had been handed out by then.</summary>
    public IReadOnlyCollection<(string What, int RentsBefore)> Prepared => _prepared;

    /// <summary>Slots freed while in use, work after the end of a stream, and the like; must stay empty.</summary>
    public IReadOnlyCollection<string> Violations => _violations;

    public override DeviceMemory Allocate(long bytes)
    {
        if (Interlocked.Increment(ref _allocations) == FailingAllocation)
        {
            throw new DeviceMemoryException(Id, bytes, 0, "The device was told to refuse.");
        }

        var memory = new LateMemory(this, bytes);
        InterlockedMax(ref _peakBytes, LiveBytes);
        return memory;
    }

    public override StagingPool CreateStagingPool(int slotBytes, int slotCount)
    {
        InterlockedMax(ref _peakStaging, Interlocked.Add(ref _staging, (long)slotBytes * slotCount));
        return new LatePool(this, slotBytes, slotCount);
    }

    /// <summary>The ranges of the host's pages that are locked for it now.</summary>
    public int Locks => Volatile.Read(ref _locks);

    public override long ScratchBytesFor(int slotBytes) => TakesScratch ? slotBytes : 0;

    public override DeviceStream CreateStream() => new LateStream(this);

    public override void Prepare(IEnumerable<(DType Stored, DType Target)> conversions)
    {
        foreach (var (stored, target) in conversions.Distinct())
        {
            _prepared.Enqueue(($"{stored.Name} to {target.Name}", Rents));
        }
    }

    public override void PrepareSummaries(IEnumerable<DType> values)
    {
        foreach (var dtype in values)
        {
            _prepared.Enqueue(($"sums of {dtype.Name}", Rents));
        }
    }

    /// <summary>The bytes of a tensor; of a group, those that every member has.</summary>
    public static byte[] Read(Tensor tensor) => tensor.Device.Kind == DeviceKind.Group ? TensorBytes.ReadEach(tensor, Read)
        : tensor.Memory is HostMemory memory ? memory.AsSpan(tensor.ByteOffset, (int)tensor.ByteLength).ToArray()
        : ((LateMemory)tensor.Memory).Bytes.AsSpan((int)tensor.ByteOffset, (int)tensor.ByteLength).ToArray();

    protected override IDisposable? LockPages(nint address, long bytes)
    {
        Interlocked.Increment(ref _locks);
        return new PageLock(this);
    }

    internal void CountRent(int ofPool)
    {
        Interlocked.Increment(ref _rents);
        Interlocked.Increment(ref _rented);
        int seen;
        while ((seen = Volatile.Read(ref _peakRented)) < ofPool && Interlocked.CompareExchange(ref _peakRented, ofPool, seen) != seen)
        {
        }
    }

    internal void CountReturn() => Interlocked.Decrement(ref _rented);

    internal void CountPoolEnd(long bytes) => Interlocked.Add(ref _staging, -bytes);

    internal bool IsFailingFence() => Interlocked.Increment(ref _fences) == FailingFence;

    internal void Note(string violation) => _violations.Enqueue(violation);

    private sealed class PageLock(LateDevice device) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref device._locks);
    }

    private static void InterlockedMax(ref long peak, long value)
    {
        long seen;
        while ((seen = Interlocked.Read(ref peak)) < value && Interlocked.CompareExchange(ref peak, value, seen) != seen)
        {
        }
    }
}

internal sealed class LateMemory(LateDevice device, long length) : DeviceMemory(device, length)
{
    public byte[] Bytes { get; } = new byte[length];

    protected override void Free() => Bytes.AsSpan().Fill(0xEE);
}

/// <summary>Slots that are overwritten when they come back.</summary>
internal sealed class LatePool : StagingPool
{
    private readonly LateDevice _device;
    private readonly ConcurrentQueue<Memory<byte>> _free = new();
    private int _out;

    public LatePool(LateDevice device, int slotBytes, int slotCount)
    {
        _device = device;
        SlotBytes = slotBytes;
        SlotCount = slotCount;
        for (var i = 0; i < slotCount; i++)
        {
            _free.Enqueue(GC.AllocateArray<byte>(slotBytes, pinned: true));
        }
    }

    public override int SlotBytes { get; }

    public override int SlotCount { get; }

    protected override bool TryTake(out Memory<byte> slot)
    {
        if (!_free.TryDequeue(out slot))
        {
            _device.Note("more slots were asked for than there are");
            return false;
        }

        _device.CountRent(Interlocked.Increment(ref _out));
        return true;
    }

    protected override void PutBack(Memory<byte> slot)
    {
        slot.Span.Fill(0xDD);
        Interlocked.Decrement(ref _out);
        _device.CountReturn();
        _free.Enqueue(slot);
    }

    protected override void Dispose(bool disposing)
    {
        if (RentedCount != 0)
        {
            _device.Note($"a pool was disposed with {RentedCount} slots out");
        }

        _device.CountPoolEnd((long)SlotBytes * SlotCount);
    }
}
