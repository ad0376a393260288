using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>
/// A place where tensors live: the only seam between what is loaded and where it goes. Safe for any thread.
/// </summary>
public abstract class Device
{
    private long _liveAllocations;
    private long _liveBytes;

    /// <summary>What kind of place this is.</summary>
    public abstract DeviceKind Kind { get; }

    /// <summary>The name people see, such as the processor's or the GPU's.</summary>
    public abstract string Name { get; }

    /// <summary>The name that selects the device on the command line, such as <c>host</c> or <c>cuda:0</c>.</summary>
    public abstract string Id { get; }

    /// <summary>All memory of the device in bytes; 0 where there is none.</summary>
    public abstract long TotalMemory { get; }

    /// <summary>What can be allocated now without taking from others, in bytes, as far as it can be known.</summary>
    public abstract long FreeMemory { get; }

    /// <summary>
    /// The size of a staging slot in bytes that suits the device: large where slots are uploaded, within the processor's
    /// cache where the host decodes from them.
    /// </summary>
    public abstract int PreferredSlotBytes { get; }

    /// <summary>
    /// Whether copies between the device and the host go faster, or beside other work only, where the host's pages are locked
    /// for its driver: <see cref="CreateStagingPool"/> gives such slots then.
    /// </summary>
    public virtual bool UsesPageLockedMemory => false;

    /// <summary>Allocations that are not freed yet, for tests and metrics; each view of a mapped file (<see cref="HostDevice.Map"/>) is one.</summary>
    public long LiveAllocations => Interlocked.Read(ref _liveAllocations);

    /// <summary>Bytes that are not freed yet, for tests and metrics; those of mapped files are the page cache's, and do not count.</summary>
    public long LiveBytes => Interlocked.Read(ref _liveBytes);

    /// <summary>Whether the host reads and writes this device's memory by address.</summary>
    public bool IsHost => Kind == DeviceKind.Host;

    /// <summary>Allocates memory. The content is undefined.</summary>
    /// <param name="bytes">The size in bytes; 0 is allowed.</param>
    /// <returns>Memory with one reference, which the caller releases by disposing it.</returns>
    /// <exception cref="DeviceMemoryException">The device has not enough memory.</exception>
    public abstract DeviceMemory Allocate(long bytes);

    /// <summary>Allocates the slots that bytes for this device are staged in: page-locked where the device wants that.</summary>
    /// <param name="slotBytes">The size of a slot in bytes.</param>
    /// <param name="slotCount">The number of slots.</param>
    /// <returns>A pool that the caller disposes after the last slot has come back.</returns>
    /// <exception cref="DeviceMemoryException">The host has not enough memory.</exception>
    public abstract StagingPool CreateStagingPool(int slotBytes, int slotCount);

    /// <summary>Makes a stream of work; streams of one device run beside each other.</summary>
    /// <returns>A stream that the caller disposes.</returns>
    public abstract DeviceStream CreateStream();

    /// <summary>
    /// Compiles what conversions take, before a load whose time counts; a device that compiles nothing does nothing. Without it each is
    /// compiled when it is first needed.
    /// </summary>
    /// <param name="conversions">Stored types and what they become.</param>
    /// <exception cref="DeviceFailureException">The device's driver cannot compile one.</exception>
    public virtual void Prepare(IEnumerable<(DType Stored, DType Target)> conversions)
    {
    }

    /// <summary>Compiles what <see cref="DeviceStream.Summarise"/> takes, as <see cref="Prepare"/> does for conversions; called after it.</summary>
    /// <param name="values">F32, F64 or both.</param>
    /// <exception cref="DeviceFailureException">The device's driver cannot compile one.</exception>
    public virtual void PrepareSummaries(IEnumerable<DType> values)
    {
    }

    /// <summary>
    /// The bytes of the device's own memory that a stream takes, beside the tensors, while it decodes slots on the device; 0 where it needs none, as
    /// on the host.
    /// </summary>
    /// <param name="slotBytes">The size of a slot in bytes.</param>
    public virtual long ScratchBytesFor(int slotBytes) => 0;

    /// <summary>Whether another device has the same memory as this one: itself, or the same driver's device seen twice.</summary>
    protected internal virtual bool IsSameMemory(Device other) => ReferenceEquals(this, other) || (IsHost && other is { IsHost: true });

    /// <summary>Whether a stream of this device copies from the memory of another that is not the host; else the host is between.</summary>
    protected internal virtual bool CopiesFrom(Device other) => false;

    /// <summary>The id.</summary>
    public override string ToString() => Id;

    /// <summary>Locks pages of the host for copies to and from this device; asked for where <see cref="UsesPageLockedMemory"/> is true.</summary>
    /// <param name="address">The first byte, on a page boundary.</param>
    /// <param name="bytes">The size in bytes, whole pages, at least one; no other lock has any of them.</param>
    /// <returns>What unlocks them when it is disposed, once, before they are freed; null where there was nothing to do.</returns>
    /// <exception cref="DeviceMemoryException">The driver refused; nothing is locked.</exception>
    protected internal virtual IDisposable? LockPages(nint address, long bytes) => null;

    internal void CountAllocation(long bytes)
    {
        Interlocked.Increment(ref _liveAllocations);
        Interlocked.Add(ref _liveBytes, bytes);
    }

    internal void CountRelease(long bytes)
    {
        Interlocked.Decrement(ref _liveAllocations);
        Interlocked.Add(ref _liveBytes, -bytes);
    }
}
