using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What a driver reports arrives as our exceptions, with its own words.</summary>
[Trait("Area", "Devices")]
public sealed class IlgpuErrorsTests : IDisposable
{
    private readonly Context _context = Context.Create(builder => builder.CPU(CPUDevice.Default).Optimize(OptimizationLevel.O2));
    private readonly Accelerator _accelerator;

    public IlgpuErrorsTests() => _accelerator = _context.Devices[0].CreateAccelerator(_context);

    public void Dispose()
    {
        _accelerator.Dispose();
        _context.Dispose();
    }

    [Fact]
    public void Short_memory_found_late_does_not_claim_to_know_how_much_was_needed()
    {
        var error = Assert.IsType<DeviceMemoryException>(
            IlgpuErrors.Explain(HostDevice.Shared, new CLException(CLError.CL_MEM_OBJECT_ALLOCATION_FAILURE), "a kernel was launched"));
        Assert.DoesNotContain(": 0 bytes", error.Message, StringComparison.Ordinal);
        Assert.StartsWith($"host: more memory is needed than the {error.Available} bytes that are free. ", error.Message, StringComparison.Ordinal);
        Assert.Contains("while a kernel was launched: CL_MEM_OBJECT_ALLOCATION_FAILURE", error.Message, StringComparison.Ordinal);
        Assert.Equal(0, error.Requested);
    }

    [Fact]
    public void Short_resources_are_short_memory_only_of_an_allocation()
    {
        var report = new CLException(CLError.CL_OUT_OF_RESOURCES);
        Assert.True(IlgpuErrors.IsRefusedAllocation(report));
        var error = Assert.IsType<DeviceFailureException>(IlgpuErrors.Explain(HostDevice.Shared, report, "a kernel was launched"));
        Assert.Contains("its driver failed while a kernel was launched: CL_OUT_OF_RESOURCES", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_has_one_full_stop()
    {
        var error = IlgpuErrors.Explain(HostDevice.Shared, new CudaException("The launch failed.\n"), "bytes were copied");
        Assert.EndsWith("The launch failed.", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("..", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void What_a_device_lacks_for_a_kernel_is_its_failure()
    {
        Assert.False(typeof(AcceleratorException).IsAssignableFrom(typeof(CapabilityNotSupportedException)));
        var error = Assert.IsType<DeviceFailureException>(
            IlgpuErrors.Explain(HostDevice.Shared, new CapabilityNotSupportedException("Float64 is not there"), "a kernel was launched"));
        Assert.Equal("host: ILGPU cannot compile a kernel for it: Float64 is not there.", error.Message);
    }

    [Theory]
    [InlineData(long.MaxValue)]
    [InlineData(long.MaxValue - IlgpuMemory.Granularity + 1)]
    public void An_allocation_that_no_number_holds_is_refused_as_on_the_host(long bytes)
    {
        using var device = IlgpuDevice.Wrap(_accelerator);
        var error = Assert.Throws<DeviceMemoryException>(() => device.Allocate(bytes));
        Assert.Equal((device.Id, bytes), (error.Device, error.Requested));
        Assert.Throws<DeviceMemoryException>(() => HostDevice.Shared.Allocate(bytes));
        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public void A_stream_that_fails_is_its_devices_failure()
    {
        using var stream = new FailingStream(_accelerator);
        using var device = IlgpuDevice.Wrap(_accelerator, stream);
        using var work = device.CreateStream();
        foreach (var action in new Action[] { work.Synchronize, () => work.Record() })
        {
            var error = Assert.Throws<DeviceFailureException>(action);
            Assert.Equal(device.Id, error.Device);
            Assert.IsType<CLException>(error.InnerException);
            Assert.Contains("CL_INVALID_COMMAND_QUEUE", error.Message, StringComparison.Ordinal);
        }

        stream.Fails = false;
    }

    [Fact]
    public void A_stream_of_a_device_that_failed_gives_everything_back_and_reports_the_failure()
    {
        using var device = IlgpuDevice.Wrap(_accelerator);
        var failing = new FailingStream(_accelerator) { Fails = false, FailsToEnd = true };
        var work = new IlgpuStream(device, failing, isOwned: true);
        using (var memory = device.Allocate(256))
        {
            // With a scratch of the stream's own.
            work.Place(new byte[64], Formats.DType.BF16, memory, 0, Formats.DType.F32);
        }

        Assert.Equal(1, device.LiveAllocations);
        failing.Fails = true;
        Assert.IsType<CLException>(Assert.Throws<DeviceFailureException>(work.Dispose).InnerException);
        Assert.Equal(0, device.LiveAllocations);
        Assert.Equal(1, failing.Ends);
        work.Dispose();
    }

    [Fact]
    public void What_a_driver_reports_of_a_release_is_dropped_and_nothing_else()
    {
        IlgpuErrors.Release(() => throw new CLException(CLError.CL_INVALID_MEM_OBJECT));
        Assert.Throws<InvalidOperationException>(() => IlgpuErrors.Release(() => throw new InvalidOperationException()));
    }

    private sealed class FailingStream(Accelerator accelerator) : AcceleratorStream(accelerator)
    {
        public bool Fails { get; set; } = true;

        public bool FailsToEnd { get; init; }

        public int Ends { get; private set; }

        public override void Synchronize()
        {
            if (Fails)
            {
                throw new CLException(CLError.CL_INVALID_COMMAND_QUEUE);
            }
        }

        protected override ProfilingMarker AddProfilingMarkerInternal() => throw new NotSupportedException();

        protected override void DisposeAcceleratorObject(bool disposing)
        {
            Ends++;
            if (FailsToEnd && disposing)
            {
                throw new CLException(CLError.CL_INVALID_COMMAND_QUEUE);
            }
        }
    }
}
