using IlgpuLoader.Formats;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

[OnDevice(TestDevice.Host)]
public sealed class HostSummariseTests() : SummariseTests(TestDevice.Host)
{
    [Fact]
    public void The_meta_device_has_no_values_to_sum_up()
    {
        using var memory = MetaDevice.Shared.Allocate(8);
        using var stream = MetaDevice.Shared.CreateStream();
        Assert.Throws<NotSupportedException>(() => stream.Summarise(memory, 0, DType.F32, 2, new Moments[1]));
    }
}
