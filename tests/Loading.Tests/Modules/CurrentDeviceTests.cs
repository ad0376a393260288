using IlgpuLoader.Gpu;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class CurrentDeviceTests
{
    [Fact]
    public void Scopes_nest_and_the_device_before_counts_again()
    {
        Assert.Same(HostDevice.Shared, CurrentDevice.Current);
        var (outer, other) = (new HostDevice(), new HostDevice());
        using (CurrentDevice.Use(outer))
        {
            Assert.Same(outer, CurrentDevice.Current);
            var inner = CurrentDevice.Use(other);
            Assert.Same(other, CurrentDevice.Current);
            inner.Dispose();
            Assert.Same(outer, CurrentDevice.Current);
            using (CurrentDevice.Use(other))
            {
                // A scope that has ended stays without effect.
                inner.Dispose();
                Assert.Same(other, CurrentDevice.Current);
            }
        }

        Assert.Same(HostDevice.Shared, CurrentDevice.Current);
    }

    [Fact]
    public void An_exception_ends_the_scope()
    {
        Assert.Throws<InvalidOperationException>(Fail);
        Assert.Same(HostDevice.Shared, CurrentDevice.Current);

        static void Fail()
        {
            using (CurrentDevice.Use(new HostDevice()))
            {
                throw new InvalidOperationException();
            }
        }
    }

    [Fact]
    public async Task Each_rank_has_its_own_device_and_it_does_not_flow_out()
    {
        var devices = new[] { new HostDevice(), new HostDevice() };
        var seen = await Task.WhenAll(devices.Select(InsideAsync));
        Assert.Equal(devices, seen);
        Assert.Same(HostDevice.Shared, CurrentDevice.Current);

        static async Task<Device> InsideAsync(Device device)
        {
            using var scope = CurrentDevice.Use(device);
            await Task.Yield();
            return await Task.Run(() => CurrentDevice.Current);
        }
    }

    [Fact]
    public void A_device_without_storage_is_refused()
    {
        Assert.Throws<ArgumentException>(() => CurrentDevice.Use(MetaDevice.Shared));
        Assert.Same(HostDevice.Shared, CurrentDevice.Current);
    }
}
