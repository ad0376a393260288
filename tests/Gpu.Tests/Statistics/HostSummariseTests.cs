using IlgpuLoader.Formats;
using Xunit;

namespace IlgpuLoader.Gpu.Tests;

public sealed class HostSummariseTests : SummariseTests
{
    // Of its own, so that allocations are counted apart.
    private readonly HostDevice _device = new();

    protected override Device Device => _device;

    [Fact]
    public void The_meta_device_has_no_values_to_sum_up()
    {
        using var memory = MetaDevice.Shared.Allocate(8);
        using var stream = MetaDevice.Shared.CreateStream();
        Assert.Throws<NotSupportedException>(() => stream.Summarise(memory, 0, DType.F32, 2, new Moments[1]));
    }
}
