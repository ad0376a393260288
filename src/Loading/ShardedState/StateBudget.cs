using IlgpuLoader.Gpu;

namespace IlgpuLoader.Loading;

/// <summary>The most memory that tensors of a state take at a time while they arrive: what stays, what waits until all of a memory is there, what passes, and both where a memory is put together. For one load.</summary>
internal sealed class StateBudget
{
    private long _kept;
    private long _waiting;
    private long _passing;
    private long _largestPassing;
    private long _largestExtra;

    /// <summary>Counts what comes in one memory.</summary>
    /// <param name="arriving">The bytes that are read for it and take memory.</param>
    /// <param name="restored">The bytes of the memory that they are put into; null where what arrives is it.</param>
    /// <param name="beside">The bytes that are allocated for what is taken out of it.</param>
    /// <param name="keepsMemory">Whether it stays too.</param>
    /// <param name="waits">Whether several have to be there first.</param>
    public void Add(long arriving, long? restored, long beside, bool keepsMemory, bool waits)
    {
        checked
        {
            var memory = restored ?? arriving;
            var kept = beside + (keepsMemory ? memory : 0);
            _kept += kept;
            if (waits)
            {
                _waiting += Math.Max(0, arriving - kept);
            }
            else
            {
                _passing += Math.Max(0, arriving - kept);
                _largestPassing = Math.Max(_largestPassing, arriving);
            }

            // While it is put together what has arrived is there too, and while it is taken apart what it was.
            var together = Math.Max(arriving + (restored ?? 0), memory + beside);
            _largestExtra = Math.Max(_largestExtra, together - Math.Max(arriving, kept));
        }
    }

    /// <summary>The bytes.</summary>
    /// <param name="windowBytes">The most that arrives before it is taken, if no tensor is larger.</param>
    public long Bytes(long windowBytes) => checked(_kept + _waiting + Math.Min(_passing, Math.Max(windowBytes, _largestPassing)) + _largestExtra);

    /// <summary>Refuses what does not fit.</summary>
    /// <param name="needs">What is needed of each device.</param>
    /// <exception cref="DeviceMemoryException">A device has less free.</exception>
    public static void ThrowIfTooLarge(IEnumerable<MemoryNeed> needs)
    {
        if (needs.FirstOrDefault(need => !need.Fits) is { } need)
        {
            throw new DeviceMemoryException(
                need.Device.Id,
                need.NeededBytes,
                need.FreeBytes,
                $"The state's tensors take at most {need.TensorBytes} bytes at a time and staging {need.StagingBytes}. Load it onto another device, or save it from more ranks, each of which holds less.");
        }
    }

    /// <summary>What a device, or each member of a group, has to have free.</summary>
    /// <param name="device">The device.</param>
    /// <param name="tensorBytes">What the tensors take of it.</param>
    /// <param name="hostBytes">What is needed of the host besides.</param>
    public static IEnumerable<MemoryNeed> NeedsOf(Device device, long tensorBytes, long hostBytes)
    {
        Device[] holders = device is DeviceGroup group ? [.. group.Members] : device.Kind == DeviceKind.Meta ? [] : [device];
        foreach (var holder in holders)
        {
            yield return new MemoryNeed(holder, checked(tensorBytes + (holder.IsHost ? hostBytes : 0)), 0, holder.FreeMemory, holder.TotalMemory);
        }

        if (hostBytes > 0 && !holders.Any(holder => holder.IsHost))
        {
            yield return new MemoryNeed(HostDevice.Shared, hostBytes, 0, HostDevice.Shared.FreeMemory, HostDevice.Shared.TotalMemory);
        }
    }
}
