using Xunit;

namespace IlgpuLoader.Gpu.Tests;

/// <summary>What drivers report that ILGPU hides.</summary>
[Trait("Area", "Devices")]
public sealed class DriverTests
{
    [Theory]
    [InlineData(100, "CUDA_ERROR_NO_DEVICE): there is no GPU")]
    [InlineData(802, "CUDA_ERROR_SYSTEM_NOT_READY): start the service")]
    [InlineData(803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH): the library and the kernel's module are of different versions")]
    [InlineData(804, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE): ")]
    [InlineData(999, "CUDA_ERROR_UNKNOWN): nvidia-smi may tell more")]
    [InlineData(214, "CUDA_ERROR_ECC_UNCORRECTABLE).")]
    [InlineData(12345, "a code of no name that is known here).")]
    public void A_code_of_CUDA_has_its_name_and_what_to_do(int status, string expected)
    {
        var problem = CudaDriver.WhyNone("cuInit", status);
        Assert.StartsWith($"CUDA: the driver is installed, and cuInit reports {status} (", problem, StringComparison.Ordinal);
        Assert.Contains(expected, problem, StringComparison.Ordinal);
        Assert.EndsWith(".", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(-6, "CL_OUT_OF_HOST_MEMORY")]
    [InlineData(-7777, "a code of no name that is known here")]
    public void A_code_of_OpenCL_has_its_name(int status, string expected) => Assert.Equal(
        $"OpenCL: a driver is installed, and clGetPlatformIDs reports {status} ({expected}).", OpenCLDriver.WhyNone("clGetPlatformIDs", status));

    [Fact]
    public void Devices_that_do_not_answer_are_counted()
    {
        Assert.Null(CudaDriver.WhyFewer(2, 2));
        Assert.Contains("counts 2 GPUs, and 1 of them answered", CudaDriver.WhyFewer(1, 2), StringComparison.Ordinal);
        Assert.Null(OpenCLDriver.WhyFewer(1, 1L));
        Assert.Contains("count 3 devices, and 0 of them", OpenCLDriver.WhyFewer(0, 3L), StringComparison.Ordinal);
    }
}
