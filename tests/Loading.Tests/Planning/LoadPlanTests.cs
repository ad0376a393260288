using IlgpuLoader.Formats;
using IlgpuLoader.Gpu;
using IlgpuLoader.TestKit;
using Xunit;

namespace IlgpuLoader.Loading.Tests;

public sealed class LoadPlanTests
{
    private static readonly Sample Tensors = Sample.Make(
        3, ("small", DType.F32, [10]), ("second", DType.F32, [500]), ("first", DType.F64, [300]), ("third", DType.U8, [1999]));

    [Fact]
    public async Task A_device_with_too_little_memory_is_refused_before_a_byte_is_read()
    {
        var device = new LateDevice { Free = 40 + 2000 + 2400 + 1999 - 1 };
        RecordingSource? source = null;
        await using var checkpoint = await Tensors.OpenAsync(inner => source = new RecordingSource(inner));
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
        var reads = source!.Reads.Count;

        var error = await Assert.ThrowsAsync<DeviceMemoryException>(() => loader.LoadAsync(plan));
        Assert.Equal(("late:0", 6439L, 6438L), (error.Device, error.Requested, error.Available));
        Assert.Contains("'first' (2400 bytes), 'second' (2000 bytes), 'third' (1999 bytes)", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("'small'", error.Message, StringComparison.Ordinal);
        Assert.Equal(reads, source.Reads.Count);
        Assert.Equal((0, 0L), (device.LiveAllocations, device.PeakBytes));
    }

    [Fact]
    public async Task Exactly_enough_memory_is_enough()
    {
        var device = new LateDevice { Free = 40 + 2000 + 2400 + 1999 };
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        var plan = loader.Plan(checkpoint, new LoadOptions { Device = device });
        await using (var model = await loader.LoadAsync(plan))
        {
            Tensors.AssertLoaded(plan, model);
        }

        Assert.Equal(0, device.LiveAllocations);
    }

    [Fact]
    public async Task A_stream_needs_its_window_or_the_largest_tensor()
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var loader = new CheckpointLoader();
        foreach (var (window, needed) in new[] { (0L, 2400L), (3000L, 3000L), (1L << 40, 6439L) })
        {
            foreach (var missing in new[] { 1, 0 })
            {
                var device = new LateDevice { Free = needed - missing };
                var plan = loader.Plan(checkpoint, new LoadOptions { Device = device, StreamWindowBytes = window });
                var streaming = async () =>
                {
                    await foreach (var (_, tensor) in loader.StreamAsync(plan))
                    {
                        tensor.Dispose();
                    }
                };
                if (missing == 0)
                {
                    await streaming();
                }
                else
                {
                    Assert.Equal(needed, (await Assert.ThrowsAsync<DeviceMemoryException>(streaming)).Requested);
                    Assert.Equal(0, device.PeakBytes);
                }

                Assert.Equal(0, device.LiveAllocations);
            }
        }
    }

    [Fact]
    public async Task On_the_host_tensors_and_slots_count_together()
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var plan = new CheckpointLoader().Plan(checkpoint, new LoadOptions { Device = new HostDevice(), StagingBytes = 64 << 10, Lanes = 1 });
        var error = Assert.Throws<DeviceMemoryException>(() => plan.ThrowIfTooLarge(1L << 60));
        Assert.Equal((1L << 60) + (64 << 10), error.Requested);
        Assert.Throws<OverflowException>(() => plan.ThrowIfTooLarge(long.MaxValue));
        plan.ThrowIfTooLarge(plan.DestinationBytes);
    }

    [Fact]
    public async Task A_plan_adds_up_and_describes_itself()
    {
        await using var checkpoint = await Tensors.OpenAsync();
        var plan = new CheckpointLoader().Plan(
            checkpoint, new LoadOptions { Device = new LateDevice(), DType = DType.F16, Lanes = 2, Exclude = ["small"] });
        Assert.Equal((2000L + 2400 + 1999, 1000L + 600 + 1999), (plan.BytesNeeded, plan.DestinationBytes));
        Assert.Equal(plan.BytesNeeded, plan.BytesToRead);
        Assert.Equal(["third", "second"], plan.LargestTensors(2).Select(tensor => tensor.Name));
        Assert.Equal(
            $"3 tensors to late:0{Environment.NewLine}read 6399 bytes in 7 runs from 1 files, 6399 of them needed{Environment.NewLine}"
            + "memory 3599 bytes for tensors, 8192 for staging: 2 lanes with 4 slots of 1024",
            plan.ToString());
    }
}
