using System.ComponentModel;
using IlgpuLoader.Formats;

namespace IlgpuLoader.Gpu;

/// <summary>The computer's own memory and processor. Always there, and the default where no GPU is found.</summary>
public sealed class HostDevice : Device
{
    // Decoding reads a slot right after it was filled: two slots of a lane fit the second-level cache of current cores.
    private const int DecodeSlotBytes = 1 << 20;

    private readonly Func<long, NativePages.Region> _allocate;
    private readonly KeptRegions _kept = new();

    /// <summary>Makes a view of the host that counts its allocations, and keeps freed memory, apart from others.</summary>
    public HostDevice()
        : this(NativePages.Allocate)
    {
    }

    /// <summary>Takes memory from elsewhere, so that tests can play a system that has none.</summary>
    internal HostDevice(Func<long, NativePages.Region> allocate)
    {
        _allocate = allocate;
    }

    /// <summary>The host as most callers want it. Another instance counts its allocations apart.</summary>
    public static HostDevice Shared { get; } = new();

    /// <inheritdoc/>
    public override DeviceKind Kind => DeviceKind.Host;

    /// <inheritdoc/>
    public override string Id => "host";

    /// <inheritdoc/>
    public override string Name =>
        $"{ProcessorName.Current}, {Environment.ProcessorCount} logical {(Environment.ProcessorCount == 1 ? "core" : "cores")}";

    /// <inheritdoc/>
    public override long TotalMemory => HostMemoryInfo.Read().Total;

    /// <inheritdoc/>
    /// <remarks>
    /// The least of what the system, the cgroup and the garbage collector allow, with what this device keeps: an allocation gets that,
    /// or has it freed.
    /// </remarks>
    public override long FreeMemory
    {
        get
        {
            // Before the system is asked: what is freed in between would be counted twice.
            var kept = _kept.PresentBytes;
            var (total, free) = HostMemoryInfo.Read();
            return Math.Min(total, free + kept);
        }
    }

    /// <summary>
    /// How many bytes of freed memory are kept at most for later allocations, in blocks of a mebibyte and more; 0, which is the default, keeps
    /// none. A lower number frees what is beyond it. On Linux only: elsewhere the C library keeps what it thinks fit.
    /// </summary>
    /// <remarks>
    /// Making fresh memory's pages present takes as long as reading into them. Who loads models one after the other has that
    /// cost once. A kept block goes to an allocation that it fits to within an eighth, and holds what it held; an allocation that none
    /// fits frees as many kept bytes as it takes. Nothing is kept unless it is asked for: other processes, and the collector, see the
    /// memory as taken.
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">The value is negative.</exception>
    public long MaximumKeptBytes
    {
        get => _kept.Limit;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegative(value);
            _kept.Limit = value;
        }
    }

    /// <summary>The bytes that are kept now, which <see cref="Device.LiveBytes"/> does not count.</summary>
    public long KeptBytes => _kept.Bytes;

    /// <inheritdoc/>
    public override int PreferredSlotBytes => DecodeSlotBytes;

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        return NativePages.IsMapped(bytes) && _kept.TryTake(bytes, out var kept)
            ? new HostMemory(this, kept, bytes)
            : new HostMemory(this, Allocate(bytes, _allocate), bytes);
    }

    /// <summary>Frees what is kept (<see cref="MaximumKeptBytes"/>); what is freed later is kept again.</summary>
    /// <returns>The bytes that were freed.</returns>
    public long TrimKept() => _kept.MakeRoom(long.MaxValue);

    /// <summary>
    /// Keeps so much freed memory more than <see cref="MaximumKeptBytes"/>, until what is returned is disposed: for work that takes memory of the same sizes again and again. Of several at once, each adds its own.
    /// </summary>
    /// <param name="bytes">The bytes.</param>
    /// <returns>What ends it, and frees what is beyond the limit then. Safe for any thread.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The number is negative.</exception>
    public IDisposable KeepMeanwhile(long bytes) => new KeptMeanwhile(_kept, bytes);

    /// <summary>
    /// Allocates host memory that copies to and from a device go through at full speed, beside other work: its pages are
    /// locked for the device's driver until it is freed. They are taken at once, and stay in memory. For a device that has
    /// no use for that (the host, see <see cref="Device.UsesPageLockedMemory"/>) it is ordinary memory.
    /// </summary>
    /// <param name="bytes">The size in bytes; 0 is allowed.</param>
    /// <param name="device">The device that the bytes come from or go to; a group locks for all its members. Keep it until the memory is freed.</param>
    /// <returns>Memory with one reference, which the caller releases by disposing it.</returns>
    /// <exception cref="DeviceMemoryException">The host has not enough memory, or the driver refused to lock it; nothing was allocated.</exception>
    public HostMemory AllocatePageLocked(long bytes, Device device)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        ArgumentNullException.ThrowIfNull(device);
        if (!device.UsesPageLockedMemory || bytes == 0)
        {
            return (HostMemory)Allocate(bytes);
        }

        // Pages of an ordinary allocation come as they are written; locking takes all of them now, and where there are too few
        // the system ends a process instead of refusing.
        var free = FreeMemory;
        if (bytes > free)
        {
            throw new DeviceMemoryException(Id, bytes, free, $"They were to be page-locked for {device.Id}: offload less, or into ordinary host memory.");
        }

        var block = Allocate(bytes, NativePages.AllocatePages);
        try
        {
            return new HostMemory(this, block, bytes, device.LockPages(block.Address, NativePages.WholePages(bytes)));
        }
        catch
        {
            NativePages.Free(block);
            throw;
        }
    }

    /// <summary>
    /// Bytes of a mapped file as memory that can only be read. It takes none of the host's: the pages are those of the page cache. It is
    /// counted as an allocation without bytes (<see cref="Device.LiveAllocations"/>), since it keeps the mapping.
    /// </summary>
    /// <param name="mapping">The mapping; the caller keeps its own reference.</param>
    /// <param name="offset">The first byte, from the start of the file; of any alignment.</param>
    /// <param name="length">The size in bytes.</param>
    /// <returns>Memory with one reference, which the caller releases by disposing it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within the file.</exception>
    /// <exception cref="ObjectDisposedException">The file is unmapped.</exception>
    public HostMemory Map(FileMapping mapping, long offset, long length)
    {
        ArgumentNullException.ThrowIfNull(mapping);
        mapping.AddReference();
        try
        {
            return new HostMemory(this, mapping, offset, length);
        }
        catch
        {
            mapping.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public override StagingPool CreateStagingPool(int slotBytes, int slotCount) => new HostStagingPool(this, slotBytes, slotCount);

    /// <inheritdoc/>
    public override DeviceStream CreateStream() => new HostStream(this);

    /// <summary>Takes memory back that nobody uses any more.</summary>
    internal void GiveBack(NativePages.Region block)
    {
        if (block.IsMapped)
        {
            _kept.Give(block);
        }
        else
        {
            NativePages.Free(block);
        }
    }

    private NativePages.Region Allocate(long bytes, Func<long, NativePages.Region> allocate)
    {
        try
        {
            if (NativePages.IsMapped(bytes))
            {
                _ = _kept.MakeRoom(bytes);
            }

            try
            {
                return allocate(bytes);
            }
            catch (Exception exception) when (exception is OutOfMemoryException or Win32Exception && TrimKept() > 0)
            {
                return allocate(bytes);
            }
        }
        catch (Exception exception) when (exception is OutOfMemoryException or Win32Exception or OverflowException)
        {
            throw new DeviceMemoryException(Id, bytes, FreeMemory, $"The operating system refused the allocation: {exception.Message}. A process may also have no more than vm.max_map_count mappings.", exception);
        }
    }
}
