using ILGPU.Runtime;
using ILGPU.Runtime.CPU;
using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[Trait("Area", "Devices")]
public sealed class IlgpuBackendTests
{
    [Fact]
    public void A_device_that_somebody_disposed_is_opened_anew_over_the_same_accelerator()
    {
        var backend = Make();
        var first = backend.Open("test:0");
        Assert.NotNull(first);
        Assert.Same(first, backend.Open("test:0"));
        using var values = Tensor.FromValues<float>(DType.F32, new Shape(2), [1f, 2f]);
        using var tensor = values.To(first);
        first.Dispose();
        var second = backend.Open("test:0");
        Assert.NotSame(first, second);
        Assert.Same(first.Accelerator, second!.Accelerator);
        using var copy = values.To(second);
        using var back = copy.To(HostDevice.Shared);
        Assert.Equal([1f, 2f], back.AsSpan<float>().ToArray());
        Assert.Equal(2, tensor.AsArrayView<float>().Length);
        Assert.Throws<ObjectDisposedException>(() => tensor.To(HostDevice.Shared));
    }

    [Fact]
    public void The_first_that_opens_is_chosen_and_what_the_driver_reported_comes_with_it()
    {
        var problems = new List<string>();
        var device = Make(_ => "The driver counts more.").OpenFirst(problems);
        Assert.Equal("test:0", device!.Id);
        Assert.Equal(["The driver counts more."], problems);
    }

    [Fact]
    public void An_id_of_another_kind_or_number_opens_nothing()
    {
        var backend = Make();
        Assert.Null(backend.Open("test:1"));
        Assert.Null(backend.Open("cuda:0"));
        Assert.Null(backend.Open("test"));
    }

    [Fact]
    public void A_library_that_is_not_there_has_no_devices_and_no_problem()
    {
        var backend = new IlgpuBackend("Test", "test", AcceleratorType.CPU, "no-such-driver", builder => builder.CPU(CPUDevice.Default), _ => "unasked");
        if (OperatingSystem.IsLinux())
        {
            Assert.Null(backend.Open("test:0"));
            Assert.Null(backend.Problem);
        }
    }

    [Fact]
    public void The_simulator_that_a_context_has_where_no_device_was_found_is_none()
    {
        var counted = -1;
        var backend = new IlgpuBackend("Test", "test", AcceleratorType.Cuda, null, _ => { }, listed =>
        {
            counted = listed;
            return "The driver counts more.";
        });
        Assert.Empty(backend.Describe());
        Assert.Equal(0, counted);
        Assert.Equal("The driver counts more.", backend.Problem);
        Assert.Null(backend.OpenFirst([]));
    }

    private static IlgpuBackend Make(Func<int, string?>? whyFewer = null) =>
        new("Test", "test", AcceleratorType.CPU, null, builder => builder.CPU(CPUDevice.Default), whyFewer ?? (_ => null));
}
