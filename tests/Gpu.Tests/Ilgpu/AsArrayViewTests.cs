using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using IlgpuLoader.Formats;
using Xunit;
using Half = System.Half;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>Tensors as an application's kernels see them, and the tensors that have no such view.</summary>
[Trait("Area", "Devices")]
public sealed class AsArrayViewTests : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
    private readonly Accelerator _accelerator;
    private readonly IlgpuDevice _device;

    public AsArrayViewTests()
    {
        _accelerator = _context.CreateCPUAccelerator(0);
        _device = IlgpuDevice.Wrap(_accelerator);
    }

    [Fact]
    public void A_kernel_reads_and_writes_the_elements_of_the_tensor_and_no_others()
    {
        using var host = Tensor.FromValues<float>(DType.F32, new Shape(4, 3), Enumerable.Range(0, 12).Select(i => i / 4f).ToArray());
        using var tensor = host.To(_device);
        using var rows = tensor.Narrow(0, 1, 2);
        var view = rows.AsArrayView<float>();
        Assert.Equal(6, view.Length);
        Run(view);
        Assert.Equal(
            [0, 0.25f, 0.5f, 1.75f, 2, 2.25f, 2.5f, 2.75f, 3, 2.25f, 2.5f, 2.75f],
            MemoryMarshal.Cast<byte, float>(DeviceBytes.Values(tensor)).ToArray());
    }

    [Fact]
    public void A_type_of_the_elements_size_or_bytes_will_do()
    {
        using var half = Tensor.FromValues<Half>(DType.F16, new Shape(3), [(Half)1, (Half)2, (Half)(-3)]);
        using var tensor = half.To(_device);
        Assert.Equal([(Half)1, (Half)2, (Half)(-3)], Get(tensor.AsArrayView<Half>()));
        Assert.Equal([0x3C00, 0x4000, 0xC200], Get(tensor.AsArrayView<ushort>()));
        Assert.Equal([0, 0x3C, 0, 0x40, 0, 0xC2], Get(tensor.AsArrayView<byte>()));
        var error = Assert.Throws<ArgumentException>(() => tensor.AsArrayView<float>());
        Assert.Contains("An element of F16 takes 2 bytes, a Single 4", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Blocks_are_seen_as_bytes_alone()
    {
        var blocks = DeviceBytes.Random(2, DType.Q4_K.ByteCount(512));
        using var host = Tensor.FromValues<byte>(DType.Q4_K, new Shape(2, 256), blocks);
        using var tensor = host.To(_device);
        Assert.Equal(blocks, Get(tensor.AsArrayView<byte>()));
        var error = Assert.Throws<ArgumentException>(() => tensor.AsArrayView<float>());
        Assert.Contains("256 elements of Q4_K share 144 bytes: only bytes can be seen", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_without_elements_has_an_empty_view()
    {
        using var tensor = Tensor.Empty(DType.F32, new Shape(3, 0), _device);
        Assert.Equal(0, tensor.AsArrayView<float>().Length);
        // Even at the end of its memory, where ILGPU ends the process for a view.
        using var full = Tensor.Empty(DType.F32, new Shape(64), _device);
        using var end = full.Narrow(0, 64, 0);
        Assert.Equal(0, end.AsArrayView<float>().Length);
    }

    [Fact]
    public void A_tensor_that_begins_inside_an_element_is_refused()
    {
        using var memory = _device.Allocate(64);
        using var odd = new Tensor(memory, DType.F32, new Shape(4), byteOffset: 6);
        var error = Assert.Throws<InvalidOperationException>(() => odd.AsArrayView<float>());
        Assert.Contains("begins at byte 6 of its memory, inside a Single", error.Message, StringComparison.Ordinal);
        Assert.Equal(16, odd.AsArrayView<byte>().Length);
        using var even = new Tensor(memory, DType.F32, new Shape(4), byteOffset: 8);
        Assert.Equal(4, even.AsArrayView<float>().Length);
    }

    [Fact]
    public void A_tensor_with_gaps_is_refused()
    {
        using var tensor = Tensor.Empty(DType.F32, new Shape(4, 4), _device);
        using var turned = tensor.Transpose(0, 1);
        using var columns = tensor.Narrow(1, 0, 2);
        foreach (var view in (ReadOnlySpan<Tensor>)[turned, columns])
        {
            var gaps = view;
            var error = Assert.Throws<InvalidOperationException>(() => gaps.AsArrayView<float>());
            Assert.Contains("is not contiguous: copy it", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_tensor_elsewhere_is_refused_with_the_way_to_bring_it()
    {
        using var host = Tensor.Empty(DType.F32, new Shape(4));
        var error = Assert.Throws<InvalidOperationException>(() => host.AsArrayView<float>());
        Assert.Contains("is not on an ILGPU accelerator: copy it there", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tensor_of_a_group_is_refused_and_that_of_its_member_taken()
    {
        var group = new DeviceGroup(HostDevice.Shared, _device);
        using var tensor = Tensor.Empty(DType.F32, new Shape(4), group);
        var error = Assert.Throws<InvalidOperationException>(() => tensor.AsArrayView<float>());
        Assert.Contains("take one device's with On(device)", error.Message, StringComparison.Ordinal);
        using var own = tensor.On(_device);
        Assert.Equal(4, own.AsArrayView<float>().Length);
    }

    [Fact]
    public void A_disposed_tensor_is_refused()
    {
        var tensor = Tensor.Empty(DType.F32, new Shape(4), _device);
        tensor.Dispose();
        Assert.Throws<ObjectDisposedException>(() => tensor.AsArrayView<float>());
        Assert.Throws<ArgumentNullException>(() => ((Tensor)null!).AsArrayView<float>());
    }

    public void Dispose()
    {
        _device.Dispose();
        _accelerator.Dispose();
        _context.Dispose();
    }

    private static void AddOne(Index1D index, ArrayView<float> values) => values[index] += 1;

    private void Run(ArrayView<float> values)
    {
        _accelerator.LoadAutoGroupedStreamKernel<Index1D, ArrayView<float>>(AddOne)((int)values.Length, values);
        _accelerator.Synchronize();
    }

    private T[] Get<T>(ArrayView<T> view)
        where T : unmanaged
    {
        var values = new T[view.Length];
        view.CopyToCPU(_accelerator.DefaultStream, values);
        return values;
    }
}
