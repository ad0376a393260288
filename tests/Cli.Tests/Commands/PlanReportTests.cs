using IlgpuLoader.Cli.Commands;
using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.Loading;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Cli.Tests;

public sealed class PlanReportTests
{
    [Fact]
    public async Task Every_device_of_a_group_has_its_own_need()
    {
        await using var checkpoint = await Checkpoint.OpenAsync(
            new MemorySource(new SafetensorsBuilder().Add("a", "U8", [5000], new byte[5000]).ToBytes(), "a.safetensors"));
        var group = new DeviceGroup(new FullDevice("cuda:0", 6000), new FullDevice("cuda:1", 4000));
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = group, Lanes = 1 });
        var report = new PlanReport(plan, "keep", null);
        Assert.False(report.Fits);

        var document = report.ToDocument();
        Assert.Equal(("cuda:0,cuda:1", false), (document.Device, document.Fits));
        Assert.Equal(
            [("cuda:0", 5000L, 6000L, true), ("cuda:1", 5000L, 4000L, false), ("host", plan.Staging.Bytes, document.Memory[2].FreeBytes, true)],
            document.Memory.Select(need => (need.Device, need.NeededBytes, need.FreeBytes, need.Fits)));

        using var text = new StringWriter();
        report.WriteTo(text, " as stored");
        Assert.StartsWith("a.safetensors: 1 tensor to each of cuda:0,cuda:1 as stored", text.ToString(), StringComparison.Ordinal);
        Assert.Matches("\n +tensors +4\\.88 KiB +5,000 +bytes on each of cuda:0,cuda:1\\s", text.ToString());
        Assert.Contains("\n  cuda:1: 4.88 KiB needed, 3.91 KiB free of 3.91 KiB: does not fit", text.ToString(), StringComparison.Ordinal);
        Assert.Contains("\n  cuda:0: 4.88 KiB needed, 5.86 KiB free of 5.86 KiB: fits", text.ToString(), StringComparison.Ordinal);
    }

    /// <summary>A device that is planned for and never used.</summary>
    private sealed class FullDevice(string id, long free) : Device
    {
        public override DeviceKind Kind => DeviceKind.Cuda;

        public override string Name => "planned for";

        public override string Id => id;

        public override long TotalMemory => free;

        public override long FreeMemory => free;

        public override int PreferredSlotBytes => 1 << 16;

        public override DeviceMemory Allocate(long bytes) => throw new NotSupportedException("A plan allocates nothing.");

        public override StagingPool CreateStagingPool(int slotBytes, int slotCount) => throw new NotSupportedException("A plan stages nothing.");

        public override DeviceStream CreateStream() => throw new NotSupportedException("A plan does no work.");
    }
}
