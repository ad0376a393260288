using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

/// <summary>Three devices that get the same: one that is done soon, the host, and one that is done when somebody waits for it.</summary>
public sealed class LateGroup
{
    /// <summary>The slots that the late ones prefer.</summary>
    public int SlotBytes { get; init; } = 1024;

    public LateDevice Soon => field ??= new LateDevice { SlotBytes = SlotBytes };

    public HostDevice Host { get; } = new();

    public LateDevice Late => field ??= new LateDevice { SlotBytes = SlotBytes, Index = 1, Lateness = Lateness.WhenWaitedFor, UsesLockedPages = true };

    public DeviceGroup Device => field ??= new DeviceGroup(Soon, Host, Late);

    /// <summary>Asserts that each member has so many allocations and bytes, and nothing happened that a driver would not survive.</summary>
    public void AssertLive(long allocations, long bytes)
    {
        Assert.All<Device>([Device, .. Device.Members], device => Assert.Equal((allocations, bytes), (device.LiveAllocations, device.LiveBytes)));
        Assert.All([Soon, Late], late =>
        {
            Assert.Empty(late.Violations);
            Assert.Equal(0, late.Rented);
        });
    }
}
