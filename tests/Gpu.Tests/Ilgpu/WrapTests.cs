using System.Reflection;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>An application's own accelerator: which are refused, what is left alone, and where the work goes.</summary>
[Trait("Area", "Devices")]
public sealed class WrapTests : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
    private readonly Accelerator _accelerator;

    public WrapTests()
    {
        _accelerator = _context.CreateCPUAccelerator(0);
    }

    [Fact]
    public void A_context_that_compiles_at_less_than_o2_is_refused_with_the_call_to_add()
    {
        foreach (var level in (ReadOnlySpan<OptimizationLevel>)[OptimizationLevel.O0, OptimizationLevel.O1])
        {
            var compiled = level;
            using var context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(compiled));
            using var accelerator = context.CreateCPUAccelerator(0);
            var error = Assert.Throws<ArgumentException>("accelerator", () => IlgpuDevice.Wrap(accelerator));
            Assert.Contains($"OptimizationLevel.{level},", error.Message, StringComparison.Ordinal);
            Assert.Contains("Add .Optimize(OptimizationLevel.O2) in Context.Create(builder => …)", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_context_as_ilgpu_makes_it_is_refused()
    {
        using var context = Context.Create(builder => builder.CPU(CPUDevice.Default));
        using var accelerator = context.CreateCPUAccelerator(0);
        Assert.Throws<ArgumentException>("accelerator", () => IlgpuDevice.Wrap(accelerator));
    }

    [Theory]
    [InlineData(MathMode.Fast)]
    [InlineData(MathMode.Fast32BitOnly)]
    public void A_context_with_fast_math_is_refused_with_the_call_to_leave_out(MathMode mode)
    {
        using var context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2).Math(mode));
        using var accelerator = context.CreateCPUAccelerator(0);
        var error = Assert.Throws<ArgumentException>("accelerator", () => IlgpuDevice.Wrap(accelerator));
        Assert.Contains($"MathMode.{mode},", error.Message, StringComparison.Ordinal);
        Assert.Contains("Leave Math out of Context.Create(builder => …)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_stream_of_another_accelerator_is_refused()
    {
        using var other = _context.CreateCPUAccelerator(0);
        using var stream = other.CreateStream();
        var error = Assert.Throws<ArgumentException>("stream", () => IlgpuDevice.Wrap(_accelerator, stream));
        Assert.Contains("of another accelerator", error.Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentNullException>("accelerator", () => IlgpuDevice.Wrap(null!));
    }

    [Fact]
    public void Nothing_of_the_applications_is_disposed()
    {
        using var stream = _accelerator.CreateStream();
        using var theirs = _accelerator.Allocate1D<int>([1, 2, 3]);
        var device = IlgpuDevice.Wrap(_accelerator, stream);
        Decode(device);
        var kept = Tensor.Empty(DType.F32, new Shape(3), device);
        device.Dispose();
        device.Dispose();
        Assert.False(_accelerator.IsDisposed);
        Assert.False(_context.IsDisposed);
        Assert.False(stream.IsDisposed);
        Assert.False(theirs.IsDisposed);
        Assert.Equal([1, 2, 3], theirs.GetAsArray1D());
        Assert.Throws<ObjectDisposedException>(() => device.Allocate(1));
        Assert.Throws<ObjectDisposedException>(device.CreateStream);

        // Its tensors outlive it, until they are disposed themselves.
        Assert.Equal(3, kept.AsArrayView<float>().Length);
        kept.Dispose();
        Assert.Equal((0, 0L), (device.LiveAllocations, device.LiveBytes));
        using var again = IlgpuDevice.Wrap(_accelerator, stream);
        Decode(again);
    }

    [Fact]
    public void All_work_goes_to_the_stream_that_was_given()
    {
        // Whatever the kernels' compiler makes is made before.
        using var own = IlgpuDevice.Wrap(_accelerator);
        Decode(own);
        using var stream = new CountingStream(_accelerator);
        using var device = IlgpuDevice.Wrap(_accelerator, stream);
        var before = Streams();
        Decode(device);
        Assert.Empty(Streams().Except(before));
        using (var tensor = Tensor.Empty(DType.F16, new Shape(5, 3), device))
        {
            tensor.Fill(2);
            tensor.FillUniform(1, 0, 1);
            using var turned = tensor.Transpose(0, 1);
            using var copy = turned.To(DType.F32);
            using var back = copy.To(HostDevice.Shared);
        }

        Assert.True(stream.Synchronised > 0);
        Assert.False(stream.IsDisposed);
        Assert.Empty(Streams().Except(before));
        using var another = own.CreateStream();
        Assert.Single(Streams().Except(before));
    }

    public void Dispose()
    {
        _accelerator.Dispose();
        _context.Dispose();
    }

    // A type whose blocks are decoded by a table, which is uploaded too.
    private static void Decode(IlgpuDevice device)
    {
        var blocks = DeviceBytes.Random(8, DType.IQ3_S.ByteCount(512));
        var expected = new byte[DType.F32.ByteCount(512)];
        Codecs.Of(DType.IQ3_S).DecodeScalar(blocks, expected, DType.F32);
        using var tensor = Tensor.Empty(DType.F32, new Shape(512), device);
        using (var stream = device.CreateStream())
        {
            stream.Place(blocks, DType.IQ3_S, tensor.Memory, 0, DType.F32);
            stream.Synchronize();
        }

        Assert.Equal(expected, DeviceBytes.Get(tensor.Memory));
    }

    // Every one that was made and not yet collected, disposed or not.
    private List<AcceleratorStream> Streams()
    {
        var children = typeof(Accelerator).GetField("childObjects", BindingFlags.NonPublic | BindingFlags.Instance)!;
        return
        [
            .. ((List<WeakReference<AcceleratorObject>>)children.GetValue(_accelerator)!)
                .Select(child => child.TryGetTarget(out var found) ? found : null)
                .OfType<AcceleratorStream>(),
        ];
    }

    private sealed class CountingStream(Accelerator accelerator) : AcceleratorStream(accelerator)
    {
        public int Synchronised { get; private set; }

        public override void Synchronize() => Synchronised++;

        protected override ProfilingMarker AddProfilingMarkerInternal() => throw new NotSupportedException();

        protected override void DisposeAcceleratorObject(bool disposing)
        {
        }
    }
}
