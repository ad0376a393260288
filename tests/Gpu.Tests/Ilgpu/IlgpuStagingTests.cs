using ILGPU;
using ILGPU.Runtime.CPU;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Devices")]
public sealed class IlgpuStagingTests
{
    [Fact]
    public void A_device_without_page_locked_memory_keeps_nothing()
    {
        using var context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
        using var accelerator = context.Devices[0].CreateAccelerator(context);
        using var device = IlgpuDevice.Wrap(accelerator);
        Assert.False(device.UsesPageLockedMemory);
        using (var pool = device.CreateStagingPool(4096, 3))
        {
            using var slot = pool.Rent();
            Assert.Equal((4096, 3), (slot.Memory.Length, pool.SlotCount));
        }

        Assert.Equal(0, device.KeptPageLockedBytes);
    }
}
