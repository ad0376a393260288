using System.ComponentModel;

namespace IlgpuLoader.Gpu;

/// <summary>The computer's own memory and processor. Always there, and the default where no GPU is found.</summary>
public sealed class HostDevice : Device
{
    // Decoding reads a slot right after it was filled: two slots of a lane fit the second-level cache of current cores.
    private const int DecodeSlotBytes = 1 << 20;

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
    /// <remarks>The least of what the system, the cgroup and the garbage collector allow.</remarks>
    public override long FreeMemory => HostMemoryInfo.Read().Free;

    /// <inheritdoc/>
    public override int PreferredSlotBytes => DecodeSlotBytes;

    /// <inheritdoc/>
    public override DeviceMemory Allocate(long bytes)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(bytes);
        try
        {
            return new HostMemory(this, NativePages.Allocate(bytes), bytes);
        }
        catch (Exception exception) when (exception is OutOfMemoryException or Win32Exception or OverflowException)
        {
            throw new DeviceMemoryException(Id, bytes, FreeMemory, $"The operating system refused the allocation: {exception.Message}. A process may also have no more than vm.max_map_count mappings.", exception);
        }
    }

    /// <inheritdoc/>
    public override StagingPool CreateStagingPool(int slotBytes, int slotCount) => new HostStagingPool(this, slotBytes, slotCount);

    /// <inheritdoc/>
    public override DeviceStream CreateStream() => new HostStream(this);
}
