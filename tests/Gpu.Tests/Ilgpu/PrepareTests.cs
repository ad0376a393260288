using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Kernels are compiled before they are needed, and in one order: what a driver caches depends on it.</summary>
[Trait("Area", "Devices")]
public sealed class PrepareTests : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
    private readonly Accelerator _accelerator;

    public PrepareTests() => _accelerator = _context.Devices[0].CreateAccelerator(_context);

    public void Dispose()
    {
        _accelerator.Dispose();
        _context.Dispose();
    }

    [Fact]
    public void Conversions_are_loaded_once_and_in_one_order_whatever_order_they_come_in()
    {
        (DType, DType)[] conversions = [(DType.F16, DType.F32), (DType.Q4_0, DType.BF16), (DType.BF16, DType.F32), (DType.F16, DType.F32), (DType.F32, DType.F16)];
        using var one = IlgpuDevice.Wrap(_accelerator);
        using var other = IlgpuDevice.Wrap(_accelerator);
        one.Prepare(conversions);
        other.Prepare(conversions.Reverse());
        Assert.Equal(4, one.LoadedConversions.Count);
        Assert.Equal(one.LoadedConversions, other.LoadedConversions);
        Assert.Equal(conversions.Distinct().Order(), one.LoadedConversions);
    }

    [Fact]
    public void What_is_prepared_is_what_a_placement_takes()
    {
        using var device = IlgpuDevice.Wrap(_accelerator);
        device.Prepare([(DType.BF16, DType.F32), (DType.Q8_0, DType.F16)]);
        var prepared = device.LoadedConversions;
        using var stream = device.CreateStream();
        using var memory = device.Allocate(1024);
        stream.Place(new byte[64], DType.BF16, memory, 0, DType.F32);
        stream.Place(new byte[DType.Q8_0.BlockSize], DType.Q8_0, memory, 512, DType.F16);
        stream.Synchronize();
        Assert.Equal(prepared, device.LoadedConversions);
    }

    [Fact]
    public void What_needs_no_kernel_prepares_none()
    {
        using var device = IlgpuDevice.Wrap(_accelerator);
        device.Prepare([(DType.F32, DType.F32), (DType.C64, DType.F32)]);
        Assert.Empty(device.LoadedConversions);
    }

    [Fact]
    public void A_disposed_device_prepares_nothing()
    {
        var device = IlgpuDevice.Wrap(_accelerator);
        device.Dispose();
        Assert.Throws<ObjectDisposedException>(() => device.Prepare([(DType.BF16, DType.F32)]));
        Assert.Throws<ObjectDisposedException>(() => device.PrepareSummaries([DType.F32]));
    }
}
