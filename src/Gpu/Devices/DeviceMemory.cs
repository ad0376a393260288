namespace IlgpuLoader.Gpu;

/// <summary>
/// One allocation on a device. Reference-counted: it is made with one reference, every <see cref="Tensor"/> over it
/// holds one more, and the memory is freed when the last is released. Its identity (reference equality) is what views
/// and tied tensors share. Counting is safe for any thread.
/// </summary>
public abstract class DeviceMemory : IDisposable
{
    private readonly long _countedBytes;
    private int _references = 1;

    /// <summary>Counts an allocation on its device.</summary>
    /// <param name="device">The device.</param>
    /// <param name="length">The size in bytes.</param>
    protected DeviceMemory(Device device, long length)
        : this(device, length, length)
    {
    }

    /// <summary>Counts an allocation on its device, and of its bytes only those that the device gave.</summary>
    private protected DeviceMemory(Device device, long length, long countedBytes)
    {
        ArgumentNullException.ThrowIfNull(device);
        Device = device;
        Length = length;
        _countedBytes = countedBytes;
        device.CountAllocation(countedBytes);
    }

    /// <summary>The device that the memory is on.</summary>
    public Device Device { get; }

    /// <summary>The size in bytes.</summary>
    public long Length { get; }

    /// <summary>Whether the memory was freed.</summary>
    public bool IsFreed => Volatile.Read(ref _references) == 0;

    /// <summary>
    /// Whether the bytes can only be read, as those of a mapped file (<see cref="HostDevice.Map"/>): whatever would write them is refused
    /// with an <see cref="InvalidOperationException"/>.
    /// </summary>
    public virtual bool IsReadOnly => false;

    /// <summary>Adds a reference; release it with <see cref="Release"/>.</summary>
    /// <exception cref="ObjectDisposedException">The memory is already freed.</exception>
    public void AddReference()
    {
        // Not a plain increment: one that came after the last release would bring freed memory back.
        var current = Volatile.Read(ref _references);
        while (true)
        {
            ObjectDisposedException.ThrowIf(current == 0, this);
            var seen = Interlocked.CompareExchange(ref _references, current + 1, current);
            if (seen == current)
            {
                return;
            }

            current = seen;
        }
    }

    /// <summary>Gives a reference back; the last one frees the memory.</summary>
    /// <exception cref="ObjectDisposedException">More references are released than were added.</exception>
    public void Release()
    {
        // Not a plain decrement: the count must never leave zero again, or a reference added at that moment would bring
        // freed memory back.
        var current = Volatile.Read(ref _references);
        while (true)
        {
            if (current == 0)
            {
                throw new ObjectDisposedException(nameof(DeviceMemory), "More references were released than were added.");
            }

            var seen = Interlocked.CompareExchange(ref _references, current - 1, current);
            if (seen == current)
            {
                break;
            }

            current = seen;
        }

        if (current == 1)
        {
            Device.CountRelease(_countedBytes);
            Free();
        }
    }

    /// <summary>Releases the reference that the memory was made with. Call it once.</summary>
    public void Dispose()
    {
        Release();
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Makes the pages of a range present before they are written, if that has not happened yet: one call for many
    /// pages instead of one fault for each. Only memory of the host has something to do.
    /// </summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="length">The number of bytes.</param>
    /// <returns>The time it took; zero where there was nothing to do.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The range is not within memory of the host.</exception>
    /// <exception cref="ObjectDisposedException">Memory of the host was freed.</exception>
    public virtual TimeSpan Populate(long offset, long length) => TimeSpan.Zero;

    /// <summary>Says that every page is present, so that <see cref="Populate"/> has nothing more to do.</summary>
    public virtual void MarkPopulated()
    {
    }

    /// <summary>Refuses to write memory that can only be read: the processor would end the process.</summary>
    /// <exception cref="InvalidOperationException">It can only be read.</exception>
    internal virtual void ThrowIfReadOnly()
    {
    }

    /// <summary>Gives the bytes back to the device; called once, after the last reference.</summary>
    protected abstract void Free();
}
